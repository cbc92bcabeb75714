"""Positions against formulas written out, and what rotary ones promise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers.positions import PositionedEmbedding, rotate, sinusoidal
from tests.support.checks import assert_close


def test_sinusoidal_is_the_formula_of_the_paper():
    expected = np.zeros((50, 6))
    for t, i in np.ndindex(50, 3):
        angle = t / 10000 ** (2 * i / 6)
        expected[t, 2 * i : 2 * i + 2] = np.sin(angle), np.cos(angle)
    assert_close(sinusoidal(jnp.arange(50), 6), expected, 1e-5)


def test_rotary_products_depend_on_the_distance_alone():
    rng = np.random.default_rng(0)
    q, k = np.float32(rng.normal(size=(2, 8)))

    def product(m, n):
        turned = [rotate(x[None, None, None], jnp.array([t])) for x, t in ((q, m), (k, n))]
        return float((turned[0] * turned[1]).sum())

    assert product(7, 3) == pytest.approx(product(4, 0), abs=1e-5)
    assert product(3, 7) == pytest.approx(product(0, 4), abs=1e-5)
    assert abs(product(7, 3) - product(3, 7)) > 0.1
    assert product(5, 5) == pytest.approx(float(q @ k), abs=1e-5)


def test_rotary_turns_pairs_as_complex_numbers():
    x = np.float32(np.random.default_rng(0).normal(size=(2, 5, 3, 8)))
    turned = np.zeros_like(x)
    for t, i in np.ndindex(5, 4):
        pair = (x[:, t, :, 2 * i] + 1j * x[:, t, :, 2 * i + 1]) * np.exp(
            1j * (t + 2) / 10000 ** (i / 4)
        )
        turned[:, t, :, 2 * i], turned[:, t, :, 2 * i + 1] = pair.real, pair.imag
    assert_close(rotate(x, 2 + jnp.arange(5)), turned, 1e-5)


@pytest.mark.parametrize("kind", ["learned", "sinusoidal", "rotary"])
def test_vectors_are_those_of_symbols_and_positions(kind):
    embed, ids = PositionedEmbedding(5, 4, 9, kind), np.array([[1, 4, 4], [0, 2, 1]])
    params = embed.init(jax.random.key(0), ids)
    table = np.asarray(params["params"]["embedding"])
    assert table.std() == pytest.approx(0.02, rel=0.5)
    expected = {
        "learned": lambda: table[ids] + params["params"]["positions"][2:5][None],
        "sinusoidal": lambda: 2 * table[ids] + sinusoidal(jnp.arange(2, 5), 4)[None],
        "rotary": lambda: table[ids],
    }[kind]()
    assert_close(embed.apply(params, ids, 2), expected, 1e-6)
    x = np.float32(np.random.default_rng(0).normal(size=(2, 3, 4)))
    assert_close(embed.apply(params, x, method="logits"), x @ table.T, 1e-5)


IDS = np.zeros((1, 1), int)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sinusoidal(jnp.arange(2), 3), "features must be even for sinusoidal .* got 3"),
        (
            lambda: rotate(jnp.ones((1, 2, 1, 3)), jnp.arange(2)),
            "features / heads must be even for rotary positions, got 3",
        ),
        (
            lambda: PositionedEmbedding(5, 4, 9).init(jax.random.key(0), np.zeros((1, 10), int)),
            "a sequence must have at most context=9 symbols, got 10",
        ),
        (
            lambda: PositionedEmbedding(5, 4, 9, "none").init(jax.random.key(0), IDS),
            "positions must be one of learned, sinusoidal, rotary, got 'none'",
        ),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
