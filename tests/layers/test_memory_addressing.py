"""Each step of addressing a memory, against loops over rows, heads and slots."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers import memory_addressing as addressing

B, H, N, M = 2, 3, 5, 4
RNG = np.random.default_rng(0)
SLOTS, KEYS = RNG.normal(size=(B, N, M)), RNG.normal(size=(B, H, M))
MEMORY = SLOTS.swapaxes(1, 2)


def weightings(seed):
    w = np.random.default_rng(seed).random((B, H, N))
    return w / w.sum(-1, keepdims=True)


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=1e-6)


def test_content_is_the_softmax_of_scaled_cosines():
    strengths = RNG.random((B, H)) * 5
    expected = np.zeros((B, H, N))
    for b, h in np.ndindex(B, H):
        key = KEYS[b, h]
        cosines = [key @ m / np.linalg.norm(key) / np.linalg.norm(m) for m in SLOTS[b]]
        likeness = np.exp(strengths[b, h] * np.array(cosines))
        expected[b, h] = likeness / likeness.sum()
    memory, keys, strengths = map(jnp.asarray, (MEMORY, KEYS, strengths))
    close(addressing.content_weighting(memory, keys, strengths), expected)
    close(addressing.content_weighting(memory, keys[:, 1], strengths[:, 1]), expected[:, 1])


def test_an_empty_memory_is_addressed_evenly_and_has_gradients():
    empty, strengths = jnp.zeros((B, M, N)), jnp.ones((B, H))

    def first(memory):
        return addressing.content_weighting(memory, jnp.asarray(KEYS), strengths)[..., 0].sum()

    close(addressing.content_weighting(empty, jnp.asarray(KEYS), strengths), 1 / N)
    assert np.isfinite(jax.grad(first)(empty)).all()


def test_interpolation_lies_between_content_and_the_step_before():
    gates, content, before = RNG.random((B, H)), weightings(1), weightings(2)
    expected = gates[..., None] * content + (1 - gates[..., None]) * before
    close(addressing.interpolate(*map(jnp.asarray, (content, before, gates))), expected)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_a_shift_is_a_circular_convolution(size):
    w, shifts = weightings(3), RNG.random((B, H, size))
    expected = np.zeros((B, H, N))
    for b, h, i, j in np.ndindex(B, H, N, N):
        for k in range(size):
            if (j + k - size // 2) % N == i:
                expected[b, h, i] += w[b, h, j] * shifts[b, h, k]
    close(addressing.shift(jnp.asarray(w), jnp.asarray(shifts)), expected)


def test_sharpening_is_a_normalised_power():
    w, powers = weightings(4), 1 + 4 * RNG.random((B, H))
    expected = w ** powers[..., None]
    expected /= expected.sum(-1, keepdims=True)
    close(addressing.sharpen(jnp.asarray(w), jnp.asarray(powers)), expected)


def test_all_steps_together_keep_weightings_that_sum_to_one():
    shifts = jax.nn.softmax(jnp.asarray(RNG.normal(size=(B, H, 3))))
    strengths, gates = jnp.full((B, H), 50.0), jnp.asarray(RNG.random((B, H)))
    content = addressing.content_weighting(jnp.asarray(MEMORY), jnp.asarray(KEYS), strengths)
    w = addressing.interpolate(content, jnp.asarray(weightings(5)), gates)
    w = addressing.sharpen(addressing.shift(w, shifts), jnp.full((B, H), 20.0))
    assert (w >= 0).all()
    close(w.sum(-1), 1)


def test_one_slot_alone_stays_finite_through_sharpening():
    w = jnp.zeros((1, 1, N)).at[0, 0, 2].set(1)
    value, by = jax.value_and_grad(lambda w, p: addressing.sharpen(w, p)[0, 0, 2], (0, 1))(
        w, jnp.full((1, 1), 60.0)
    )
    assert value == 1 and all(np.isfinite(a).all() for a in by)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision_has_finite_gradients_where_nothing_is_near(dtype):
    one = jnp.zeros((1, 1, N), dtype).at[0, 0, 2].set(1)
    powers, memory, keys = (jnp.zeros(s, dtype) for s in ((1, 1), (1, M, N), (1, 1, M)))
    sharp, slope = jax.value_and_grad(lambda w: addressing.sharpen(w, powers + 9)[0, 0, 2])(one)
    assert sharp == 1 and sharp.dtype == dtype and jnp.isfinite(slope).all()
    close(addressing.sharpen(0 * one, powers + 1).astype(float), np.float32(dtype(1 / N)))

    def first(memory, keys):
        return addressing.content_weighting(memory, keys, powers + 1)[0, 0, 0]

    slopes = jax.grad(first, (0, 1))(memory, keys)
    assert all(jnp.isfinite(slope).all() and slope.dtype == dtype for slope in slopes)


def test_reading_and_writing_go_slot_by_slot():
    w, erased, added = weightings(6), RNG.random((B, H, M)), RNG.normal(size=(B, H, M))
    reads, memory = np.zeros((B, H, M)), SLOTS.copy()
    for b, h, i in np.ndindex(B, H, N):
        reads[b, h] += w[b, h, i] * SLOTS[b, i]
        memory[b, i] *= 1 - w[b, h, i] * erased[b, h]
    for b, h, i in np.ndindex(B, H, N):
        memory[b, i] += w[b, h, i] * added[b, h]
    close(addressing.read(jnp.asarray(MEMORY), jnp.asarray(w)), reads)
    close(addressing.write(*map(jnp.asarray, (MEMORY, w, erased, added))), memory.swapaxes(1, 2))
