"""Symbols, masks and shifted targets against rows worked out by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers.sequence import one_hot, output_layer, shift_right, source_mask
from nets.sequence import ManyToOne


def test_a_source_ends_before_its_first_zero():
    rows = jnp.array([[3, 1, 0, 2], [0, 1, 1, 1], [1, 2, 3, 4]])
    expected = [[True, True, False, False], [False] * 4, [True] * 4]
    np.testing.assert_array_equal(source_mask(rows), expected)


def test_targets_are_shifted_by_one_step_and_begin_with_zero():
    np.testing.assert_array_equal(
        shift_right(jnp.array([[5, 6, 7], [1, 0, 0]])), [[0, 5, 6], [0, 1, 0]]
    )


def test_symbols_are_one_hot_and_numbers_stay():
    expected = np.zeros((1, 3, 4))
    expected[0, [0, 1, 2], [2, 0, 3]] = 1
    encoded = one_hot(jnp.array([[2, 0, 3]]), 4, jnp.bfloat16)
    assert encoded.dtype == jnp.bfloat16
    np.testing.assert_array_equal(encoded.astype(np.float32), expected)
    numbers = np.ones((1, 3, 4), np.float32) / 3
    np.testing.assert_array_equal(one_hot(jnp.array(numbers), None, jnp.float32), numbers)


def test_symbols_need_the_size_of_the_vocabulary():
    with pytest.raises(ValueError, match=r"vocab_size must be a number .*\(int32\), got None"):
        one_hot(jnp.array([1]), None, jnp.float32)


def test_the_output_layer_computes_in_float32_at_least():
    layer = output_layer(ManyToOne(dtype=jnp.bfloat16, param_dtype=jnp.bfloat16), 3, name="output")
    assert (layer.features, layer.dtype, layer.param_dtype) == (3, jnp.float32, jnp.bfloat16)
    assert layer.name == "output"
