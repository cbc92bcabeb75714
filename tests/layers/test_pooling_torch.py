import jax
import numpy as np
import pytest

from nets.layers import pooling
from tests.support.checks import jit

torch = pytest.importorskip("torch")

# spatial sizes, window, stride, padding, ceil; torch pads by half a window at most
CASES = [
    ((9,), 3, 2, 1, False),
    ((8,), 2, 3, 1, True),
    ((8, 7), 2, 2, 0, False),
    ((8, 7), 2, 2, 0, True),
    ((9, 8), 3, 2, 1, True),
    ((6, 5), (3, 2), (1, 2), (1, 0), False),
    ((2, 6), 3, 2, 0, True),
    ((4, 5, 6), (2, 3, 3), 2, 1, True),
]


def functions(rank, window, stride, padding, ceil):
    """(pool, torch's twin), the sizes and so on given."""
    nn = torch.nn
    max_, average = (
        getattr(nn, f"{kind}Pool{rank}d")(window, stride, padding, ceil_mode=ceil, **more)
        for kind, more in (("Max", {}), ("Avg", {"count_include_pad": False}))
    )
    padded = getattr(nn, f"AvgPool{rank}d")(window, stride, padding, ceil_mode=ceil)
    pads = tuple((p, p) for p in np.broadcast_to(padding, rank).tolist())
    options = (window, stride, pads, ceil)
    yield lambda x: pooling.max_pool(x, *options), max_
    yield lambda x: pooling.average_pool(x, *options), average
    yield lambda x: pooling.average_pool(x, *options, count_padding=True), padded
    if not ceil and not np.any(padding):  # where torch's is a norm of the window
        for p in (1, 2, 3.5):
            lp = getattr(nn, f"LPPool{rank}d")(p, window, stride)
            yield (
                lambda x, p=p: pooling.norm_pool(x, p, *options),
                lambda x, lp=lp: lp(x.abs()),
            )


@pytest.mark.parametrize("sizes, window, stride, padding, ceil", CASES)
def test_pools_equal_torch(sizes, window, stride, padding, ceil):
    rng, rank = np.random.default_rng(0), len(sizes)
    x = rng.integers(0, 4, size=(2, *sizes, 3)).astype(float)  # equals
    x[:, 0] -= 0.5
    pairs = list(functions(rank, window, stride, padding, ceil))
    ours, theirs, dys = [f for f, _ in pairs], [], []
    for _, module in pairs:
        t = torch.tensor(np.moveaxis(x, -1, 1), requires_grad=True)
        y = module(t)
        dy = rng.normal(size=y.shape)
        (slope,) = torch.autograd.grad(y, t, torch.tensor(dy))
        theirs.append([np.moveaxis(a.detach().numpy(), 1, -1) for a in (y, slope)])
        dys.append(np.moveaxis(dy, 1, -1))

    def with_gradients(x, dys):
        return [(f(x), *jax.vjp(f, x)[1](dy)) for f, dy in zip(ours, dys, strict=True)]

    with jax.enable_x64():
        got = jit(with_gradients)(x, dys)
    for i, (mine, want) in enumerate(zip(got, theirs, strict=True)):
        for a, b in zip(mine, want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10, err_msg=str(i))


def test_norms_that_ceil_adds_differ_from_torch_by_a_known_factor():
    x = np.arange(1.0, 6.0)
    theirs = torch.nn.LPPool1d(2, 2, ceil_mode=True)(torch.tensor(x)[None])[0].numpy()
    with jax.enable_x64():
        (ours,) = pooling.norm_pool(x.reshape(1, 5, 1), 2, 2, ceil=True)[..., 0]
    np.testing.assert_allclose(ours, theirs / np.array([1, 1, 2**0.5]), rtol=1e-12)
