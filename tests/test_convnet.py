"""The plain convolutional net: a count by hand, its stages, what it refuses."""

import functools

import jax
import jax.numpy as jnp
import pytest

from nets.convnet import ConvNet


def shapes(model, *shape):
    x = jax.ShapeDtypeStruct(shape, jnp.float32)
    init = functools.partial(model.init_with_output, train=False, stages=True)
    return jax.eval_shape(init, jax.random.key(0), x)


def test_parameters_and_stages():
    (logits, stages), variables = shapes(ConvNet(num_classes=10), 2, 28, 28, 1)
    convolutions = 25 * 32 + 9 * 32 * 64 + 9 * 64 * 128
    normalisations = 2 * (32 + 64 + 128)
    linear = 3 * 3 * 128 * 10 + 10
    count = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    assert count == convolutions + normalisations + linear == 104_938
    assert {name: stage.shape[1:] for name, stage in stages.items()} == {
        "conv1": (28, 28, 32), "pool1": (14, 14, 32), "conv2": (14, 14, 64), "pool2": (7, 7, 64),
        "conv3": (7, 7, 128), "pool3": (3, 3, 128), "features": (1152,),
    }  # fmt: skip
    assert (logits.shape, logits.dtype) == ((2, 10), jnp.float32)


def test_without_padding_the_first_map_is_smaller():
    (_, stages), _ = shapes(ConvNet(num_classes=10, padded=False), 2, 28, 28, 1)
    assert [stages[f"conv{i}"].shape[1:3] for i in (1, 2, 3)] == [(24, 24), (12, 12), (6, 6)]


def test_no_classes_no_head_and_bfloat16():
    model = ConvNet(num_classes=0, dtype=jnp.bfloat16)
    (features, _), variables = shapes(model, 2, 16, 8, 3)
    assert (features.shape, features.dtype) == ((2, 2 * 1 * 128), jnp.bfloat16)
    assert "fc" not in variables["params"]


@pytest.mark.parametrize(
    ("fields", "shape", "message"),
    [
        ({}, (1, 7, 28, 1), "at least 8 x 8 pixels, not"),
        ({"padded": False}, (1, 11, 28, 1), "at least 12 x 12 pixels, not"),
        ({"windows": (5, 3)}, (1, 28, 28, 1), r"one entry for each of widths=.* got \(5, 3\)"),
        ({"num_classes": None}, (1, 28, 28, 1), "num_classes must be .* got None"),
    ],
)
def test_refusals(fields, shape, message):
    with pytest.raises(ValueError, match=message):
        shapes(ConvNet(**{"num_classes": 10} | fields), *shape)
