import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers import pooling
from tests.support.checks import jit

# spatial sizes, window, strides, padding, its pairs, ceil
CASES = {
    "halves": ((7,), 2, None, "VALID", ((0, 0),), False),
    "overlapping": ((9,), 3, 2, 1, ((1, 1),), True),
    "gaps": ((10,), 2, 4, "VALID", ((0, 0),), True),
    "subsampling": ((8,), 1, 3, "VALID", ((0, 0),), False),
    "more than it holds": ((2,), 3, 2, "VALID", ((0, 0),), True),
    "causal": ((6,), 3, 1, "CAUSAL", ((2, 0),), False),
    "quarters": ((6, 4), 2, None, "VALID", ((0, 0),) * 2, False),
    "same": ((7, 8), (3, 2), 2, "SAME", ((1, 1), (0, 0)), False),
    "pairs": ((7, 8), (2, 3), (1, 2), ((0, 1), (2, 1)), ((0, 1), (2, 1)), True),
    "stem": ((8, 5), 3, 2, 1, ((1, 1),) * 2, False),
    "beyond": ((6, 5), 3, 2, 1, ((1, 1),) * 2, True),
    "three axes": ((4, 5, 3), (2, 3, 2), (2, 2, 1), ((0, 1), (1, 1), (0, 0)), None, True),
    "long": ((80,), 40, 7, 3, ((3, 3),), True),
    "long and short": ((35, 4), (33, 2), (1, 2), "VALID", ((0, 0),) * 2, False),
}


def window_starts(size, window, stride, low, high, ceil):
    """The first position of each window, one stride after another; the input is 0 ... size - 1."""
    starts = [-low]
    while True:
        start = starts[-1] + stride
        before_reaches_the_end = starts[-1] + window >= size + high
        if (before_reaches_the_end or start >= size) if ceil else start + window > size + high:
            return starts
        starts.append(start)


def by_loop(x, dy, join, window, strides, pads, ceil):
    """The value of each window, and the gradient of sum(y * dy) by x [B, *spatial, C].

    `join` maps the values of a window, in row-major order, and the number of its positions inside
    the padded input, to its value and the derivatives by the values.
    """
    sizes = x.shape[1:-1]
    each = [(v,) * len(sizes) if isinstance(v, int) else v for v in (window, strides or window)]
    geometry = list(zip(sizes, *each, pads, strict=True))
    starts = [window_starts(n, w, s, *pad, ceil) for n, w, s, pad in geometry]
    y, dx = np.zeros((len(x), *map(len, starts), x.shape[-1])), np.zeros(x.shape)
    for index in itertools.product(*(range(len(s)) for s in starts)):
        first = [s[i] for s, i in zip(starts, index, strict=True)]
        positions = tuple(
            slice(max(f, 0), min(f + w, n)) for f, (n, w, *_) in zip(first, geometry, strict=True)
        )
        padded = [
            min(f + w, n + pad[1]) - f for f, (n, w, _, pad) in zip(first, geometry, strict=True)
        ]
        for b, c in np.ndindex(len(x), x.shape[-1]):
            values = x[(b, *positions, c)]
            value, slopes = join(values.reshape(-1), np.prod(padded))
            y[(b, *index, c)] = value
            if dy is not None:
                dx[(b, *positions, c)] += np.reshape(slopes, values.shape) * dy[(b, *index, c)]
    return y, dx


def one_hot(values):
    return np.eye(len(values))[np.argmax(values)]  # the first of equals


def norm(p):
    def join(v, _):
        a = np.abs(v)
        y = (a**p).sum() ** (1 / p)
        return y, np.sign(v) * (a / (y or 1.0)) ** (p - 1)

    return join


JOINS = {
    "max": (pooling.max_pool, lambda v, _: (v.max(), one_hot(v))),
    "sum": (pooling.sum_pool, lambda v, _: (v.sum(), np.ones(len(v)))),
    "average": (pooling.average_pool, lambda v, _: (v.mean(), np.full(len(v), 1 / len(v)))),
    "padded average": (
        lambda *a: pooling.average_pool(*a, count_padding=True),
        lambda v, count: (v.sum() / count, np.full(len(v), 1 / count)),
    ),
    "maximum magnitude": (
        lambda x, *a: pooling.norm_pool(x, np.inf, *a),
        lambda v, _: (np.abs(v).max(), np.sign(v) * one_hot(np.abs(v))),
    ),
} | {f"norm {p}": (lambda x, *a, p=p: pooling.norm_pool(x, p, *a), norm(p)) for p in (1, 1.5, 2, 3)}


@pytest.mark.parametrize("case", CASES)
def test_pools_equal_loops(case):
    sizes, window, strides, padding, pads, ceil = CASES[case]
    rng = np.random.default_rng(0)
    x = rng.integers(-2, 3, size=(2, *sizes, 2)).astype(float)  # equals, and windows of zeros
    joins = JOINS if case in ("overlapping", "pairs", "quarters") else dict(list(JOINS.items())[:4])
    with jax.enable_x64():

        def all_of_them(x, dys):
            pulled = {}
            for name, (pool, _) in joins.items():
                y, pullback = jax.vjp(lambda x, f=pool: f(x, window, strides, padding, ceil), x)
                pulled[name] = y, pullback(dys[name].reshape(y.shape))[0]
            return pulled

        options = (window, strides, pads or padding, ceil)
        shape = by_loop(x, None, joins["max"][1], *options)[0].shape
        dys = {name: rng.normal(size=shape) for name in joins}
        got = jit(all_of_them)(x, dys)
    for name, (_, join) in joins.items():
        for a, b in zip(got[name], by_loop(x, dys[name], join, *options), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12, err_msg=name)


def test_a_circle_has_no_padding():
    x = jnp.array([[5.0, 1.0, 2.0, 3.0, 4.0]]).reshape(1, 5, 1)
    circle = {"window": 3, "strides": 1, "padding": "CIRCULAR"}
    maximum = jit(lambda x: pooling.max_pool(x, **circle))(x)
    average = jit(lambda x: pooling.average_pool(x, **circle))(x)
    np.testing.assert_array_equal(maximum[0, :, 0], [5, 5, 3, 4, 5])
    np.testing.assert_allclose(average[0, :, 0], np.array([10, 8, 6, 9, 12]) / 3, rtol=1e-6)


def test_forwards_is_backwards():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, size=(1, 7, 6, 2)).astype(np.float32)
    t, dy = rng.normal(size=x.shape), rng.normal(size=(1, 4, 3, 2))
    t, dy = t.astype(np.float32), dy.astype(np.float32)

    def both(x, t, dy):
        def pool(x):
            return pooling.max_pool(x, 3, 2, ((1, 1), (1, 0)))

        return (jax.jvp(pool, (x,), (t,))[1] * dy).sum(), (jax.vjp(pool, x)[1](dy)[0] * t).sum()

    forwards, backwards = jit(both)(x, t, dy)
    np.testing.assert_allclose(forwards, backwards, rtol=1e-5)
    assert abs(forwards) > 0.1


def test_only_long_windows_scatter():
    def gradient(window, x):
        return jax.make_jaxpr(jax.grad(lambda x: pooling.max_pool(x, window, 1).sum()))(x)

    x = jax.ShapeDtypeStruct((1, 60, 3), jnp.float32)
    assert "select_and_scatter" not in str(gradient(pooling.LONG, x))
    assert "select_and_scatter" in str(gradient(pooling.LONG + 1, x))


def test_norms_neither_overflow_nor_vanish():
    x = jnp.array([3.0, 4.0, 0.0, 0.0]).reshape(1, 4, 1)

    def norms(x):
        def value(x, p):
            return jax.value_and_grad(lambda x: pooling.norm_pool(x, p, 2).sum())(x)

        return [value(x * size, p) for size in (1e30, 1e-30) for p in (2, 20)], value(0 * x, 1.5)

    *got, _, at_zero = jax.tree.leaves(jit(norms)(x))
    twentieth = (3.0**20 + 4.0**20) ** (1 / 20)
    slopes = (3.0 / twentieth) ** 19, (4.0 / twentieth) ** 19
    for i, size in enumerate((1e30, 1e-30)):
        np.testing.assert_allclose(got[4 * i], 5 * size, rtol=1e-5)
        np.testing.assert_allclose(got[4 * i + 1].ravel(), [0.6, 0.8, 0, 0], rtol=1e-5)
        np.testing.assert_allclose(got[4 * i + 2], twentieth * size, rtol=1e-5)
        np.testing.assert_allclose(got[4 * i + 3].ravel(), [*slopes, 0, 0], rtol=1e-5)
    assert not at_zero.any()


def test_maxout():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, size=(5, 2, 12)).astype(np.float32)
    dy = rng.normal(size=(5, 2, 4)).astype(np.float32)

    def with_gradient(x, dy):
        y, pullback = jax.vjp(lambda x: pooling.maxout(x, 3), x)
        return y, *pullback(dy)

    y, dx = jit(with_gradient)(x, dy)
    for row in np.ndindex(5, 2):
        for feature in range(4):
            pieces = x[row][3 * feature : 3 * feature + 3]
            assert y[row][feature] == max(pieces)
            want = one_hot(pieces) * dy[row][feature]
            np.testing.assert_array_equal(dx[row][3 * feature : 3 * feature + 3], want)


@pytest.mark.parametrize("sizes", [(6,), (3, 4), (2, 3, 2)])
def test_global(sizes):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, size=(2, *sizes, 3)).astype(np.float32)
    slope = jax.grad(lambda x: pooling.global_max(x).sum())
    average, maximum, slopes = jit(
        lambda x: (pooling.global_average(x), pooling.global_max(x), slope(x))
    )(x)
    for b, c in np.ndindex(2, 3):
        values = x[b, ..., c].ravel()
        np.testing.assert_allclose(average[b, c], values.mean(), rtol=1e-6)
        assert maximum[b, c] == values.max()
        np.testing.assert_array_equal(np.ravel(slopes[b, ..., c]), one_hot(values))


def test_half_precision_is_rounded_once():
    x = jax.random.uniform(jax.random.key(0), (1, 8, 8, 2), jnp.bfloat16)

    def pools(x):
        return (
            pooling.sum_pool(x, 8),
            pooling.norm_pool(x, 1, 8),
            pooling.average_pool(x, 3, 2, 1),
            pooling.norm_pool(x, 2, 8),
            pooling.max_pool(x, 2),
        )

    got, full = jit(lambda x: (pools(x), pools(x.astype(jnp.float32))))(x)
    for a, b in zip(got, full, strict=True):
        assert a.dtype == jnp.bfloat16
        np.testing.assert_array_equal(a, b.astype(jnp.bfloat16))


def test_padding_is_never_the_maximum():
    x = -jnp.ones((1, 4, 4, 1))
    maximum = jit(lambda x: (pooling.max_pool(x, 3, 2, 1), pooling.max_pool(x, 40, 1, 39)))(x)
    assert all((a == -1).all() for a in maximum)


IMAGE = (1, 6, 6, 2)


@pytest.mark.parametrize(
    "pool, shape, message",
    [
        (lambda x: pooling.max_pool(x, 7), IMAGE, "into 6 positions .* got a window of 7"),
        (
            lambda x: pooling.sum_pool(x, (2, 2, 2)),
            IMAGE,
            r"window must be .* of 2 axes, got \(2, 2, 2\)",
        ),
        (lambda x: pooling.sum_pool(x, 0), IMAGE, "window must be a number >= 1, .* got 0"),
        (
            lambda x: pooling.max_pool(x, 2, (1, 0)),
            IMAGE,
            r"strides must be a number >= 1, .* got \(1, 0\)",
        ),
        (
            lambda x: pooling.max_pool(x, 2, padding=2),
            IMAGE,
            "padding must be less than the window, 2, got 2 and 2",
        ),
        (
            lambda x: pooling.average_pool(x, 2, padding=((0, 0), (0, 2))),
            IMAGE,
            "padding must be less .* got 0 and 2",
        ),
        (
            lambda x: pooling.average_pool(x, 2, padding=((0, 0), (-1, 0))),
            IMAGE,
            r"padding must be .* got \(\(0, 0\), \(-1, 0\)\)",
        ),
        (
            lambda x: pooling.average_pool(x, 2, padding="same"),
            IMAGE,
            "padding must be .* of 2 axes, .* got 'same'",
        ),
        (lambda x: pooling.max_pool(x, 2), (3, 4), r"\[B, \*spatial, C\], got shape \[3, 4\]"),
        (lambda x: pooling.norm_pool(x, 0.5, 2), IMAGE, "p must be at least 1, got 0.5"),
        (lambda x: pooling.norm_pool(x, np.nan, 2), IMAGE, "p must be at least 1, got nan"),
        (lambda x: pooling.maxout(x, 4), IMAGE, "pieces must divide the 2 channels of x, got 4"),
        (lambda x: pooling.maxout(x, 0), IMAGE, "pieces must be at least 1, got 0"),
    ],
)
def test_refusals(pool, shape, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(pool, jax.ShapeDtypeStruct(shape, jnp.float32))
