"""The configurable pattern of convolutional networks: published counts, stages, refusals."""

import functools

import jax
import jax.numpy as jnp
import pytest

from nets.conv_scheme import ConvScheme
from nets.vgg import VGG

LENET = ConvScheme((6, 16), windows=(5,), padded=False, hidden=(120, 84), num_classes=10)
VGG_16 = ConvScheme(
    (64, 128, 256, 512, 512), (2, 2, 3, 3, 3), hidden=(4096, 4096), num_classes=1000
)


def shapes(model, *shape):
    x = jax.ShapeDtypeStruct(shape, jnp.float32)
    init = functools.partial(model.init_with_output, train=False, stages=True)
    return jax.eval_shape(init, jax.random.key(0), x)


def size(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize(
    ("model", "image", "parameters"),
    [
        (LENET, (32, 32, 1), 61_706),
        (VGG_16, (224, 224, 3), 138_357_544),
        (ConvScheme((), hidden=(), num_classes=10), (8, 8, 1), 650),
        (ConvScheme((), hidden=(128,), num_classes=10), (8, 8, 1), 65 * 128 + 129 * 10),
    ],
    ids=["LeNet-5", "VGG-16", "linear", "MLP"],
)
def test_fields_give_the_published_counts(model, image, parameters):
    assert size(shapes(model, 1, *image)[1]) == parameters


def test_it_is_vgg_16_layer_by_layer():
    (logits, stages), _ = shapes(VGG_16, 1, 224, 224, 3)
    (_, theirs), _ = shapes(VGG(16, num_classes=1000), 1, 224, 224, 3)
    order = {k: v.shape for k, v in stages.items() if k != "features"}
    assert list(order.values()) == [v.shape for v in theirs.values()]
    assert (logits.shape, logits.dtype) == ((1, 1000), jnp.float32)


def test_stages():
    model = ConvScheme((4, 6), (2, 1), (5, 3), padded=False, hidden=(9,), num_classes=3)
    (_, stages), _ = shapes(model, 2, 20, 18, 1)
    assert {name: stage.shape[1:] for name, stage in stages.items()} == {
        "conv1_1": (16, 14, 4), "conv1_2": (12, 10, 4), "pool1": (6, 5, 4), "conv2_1": (4, 3, 6),
        "pool2": (2, 1, 6), "features": (12,), "fc1": (9,),
    }  # fmt: skip


def test_no_classes_no_head_and_bfloat16():
    model = ConvScheme((4,), hidden=(5,), num_classes=0, dtype=jnp.bfloat16)
    (features, _), variables = shapes(model, 2, 8, 8, 1)
    assert (features.shape, features.dtype) == ((2, 5), jnp.bfloat16)
    assert set(variables["params"]) == {"conv1_1", "fc1"}


def test_dropout_acts_before_each_fully_connected_layer_while_training():
    model = ConvScheme((2,), pooling="none", hidden=(3,), num_classes=4, dropout=0.5)
    x = jax.random.normal(jax.random.key(0), (64, 4, 4, 1))
    variables = model.init(jax.random.key(1), x, train=False)
    rngs = {"dropout": jax.random.key(2)}
    _, plain = model.apply(variables, x, train=False, stages=True)
    logits, dropped = model.apply(variables, x, train=True, stages=True, rngs=rngs)
    assert jnp.array_equal(plain["features"], dropped["features"])
    assert not jnp.allclose(plain["fc1"], dropped["fc1"])
    output = variables["params"]["output"]
    assert not jnp.allclose(dropped["fc1"] @ output["kernel"], logits, atol=0.01)


@pytest.mark.parametrize(
    ("fields", "minimum"),
    [
        ({}, 4),
        ({"pool_window": 3, "pool_strides": 2}, 7),
        ({"padded": False}, 10),
        ({"padded": False, "convolutions": (2,), "windows": (5, 3)}, 20),
        ({"pooling": "none", "padded": False}, 5),
        ({"pooling": "none", "padded": False, "strides": (2, 3), "windows": (5, 4)}, 11),
        ({"pooling": "none", "convolutions": (2,), "strides": (3, 2)}, 1),
        ({"strides": (3, 2)}, 16),
        ({"pooling": "none"}, 1),
    ],
)
def test_the_minimum_size_leaves_one_position(fields, minimum):
    model = ConvScheme(**fields, num_classes=10)
    (_, stages), _ = shapes(model, 1, minimum, minimum, 1)
    assert stages["features"].shape == (1, 32)
    if minimum > 1:
        with pytest.raises(ValueError, match=f"at least {minimum} x {minimum} pixels"):
            shapes(model, 1, minimum, minimum - 1, 1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"windows": (5, 3, 3)}, r"windows must have one entry, .* widths=\(16, 32\), got \(5, 3"),
        ({"convolutions": ()}, r"convolutions must have one entry, or one .*, got \(\)"),
        ({"convolutions": (0,)}, "ConvScheme.convolutions must be at least 1, got 0"),
        ({"strides": (0,)}, "ConvScheme.strides must be at least 1, got 0"),
        ({"windows": (3, 0)}, "ConvScheme.windows must be at least 1, got 0"),
        ({"widths": (8, 0)}, "ConvScheme.widths must be at least 1, got 0"),
        ({"hidden": (0,)}, "ConvScheme.hidden must be at least 1, got 0"),
        ({"pooling": "sum"}, "ConvScheme.pooling must be one of max, average, none, got 'sum'"),
        ({"pool_window": 0}, "ConvScheme.pool_window must be at least 1, got 0"),
        ({"pool_strides": 0}, "ConvScheme.pool_strides must be at least 1, got 0"),
        ({"dropout": 1.0}, r"ConvScheme.dropout must be in \[0, 1\), got 1.0"),
        ({"num_classes": None}, "num_classes must be .* got None"),
        ({"kernel_init": "glorot"}, "kernel_init must be one of zeros, .* got 'glorot'"),
    ],
)
def test_a_bad_field_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        shapes(ConvScheme(**{"num_classes": 10} | fields), 1, 28, 28, 1)
