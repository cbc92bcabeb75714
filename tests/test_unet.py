"""U-Net: the published count by hand, any size, and fields that are refused."""

import functools

import jax
import jax.numpy as jnp
import pytest

from nets.unet import UNet


def outputs(model, *shape):
    run = functools.partial(model.init_with_output, train=False)
    return jax.eval_shape(run, jax.random.key(0), jax.ShapeDtypeStruct(shape, jnp.float32))


def count(model, *shape):
    return sum(a.size for a in jax.tree.leaves(outputs(model, *shape)[1]["params"]))


def by_hand(widths, channels, classes):
    """Weights and biases of figure 1: 3x3 convolutions, 2x2 up-convolutions, the last 1x1."""

    def conv(window, inputs, features):
        return window * window * inputs * features + features

    total = conv(1, widths[0], classes)
    for before, width in zip((channels, *widths), widths, strict=False):
        total += conv(3, before, width) + conv(3, width, width)
    for width, below in zip(widths, widths[1:], strict=False):
        total += conv(2, below, width) + conv(3, 2 * width, width) + conv(3, width, width)
    return total


def test_it_has_the_published_parameters():
    """31,030,658 is the sum of the layers of figure 1, which `by_hand` spells out."""
    assert by_hand((64, 128, 256, 512, 1024), 1, 2) == 31_030_658
    assert count(UNet(num_classes=2, batch_norm=False), 1, 64, 64, 1) == 31_030_658


def test_other_forms_differ_by_their_layers():
    widths = (8, 16, 24)
    plain = by_hand(widths, 3, 5)
    model, image = UNet(widths, num_classes=5, batch_norm=False), (1, 16, 16, 3)
    assert count(model, *image) == plain
    convolutions = 2 * (8 + 16 + 24) + 2 * (8 + 16)  # channels of all 3x3 ones
    assert count(model.clone(batch_norm=True), *image) == plain + convolutions
    smaller = 3 * (16 * 8 + 24 * 16)  # 1x1 instead of 2x2
    assert count(model.clone(upsampling="bilinear"), *image) == plain - smaller


@pytest.mark.parametrize("upsampling", ["transposed", "bilinear"])
@pytest.mark.parametrize("size", [(1, 1), (16, 32), (17, 31), (180, 240), (45, 3)])
def test_the_logits_have_the_size_of_the_image(upsampling, size):
    model = UNet((4, 8, 8, 8), num_classes=3, upsampling=upsampling, dtype=jnp.bfloat16)
    logits, _ = outputs(model, 2, *size, 3)
    assert (logits.shape, logits.dtype) == ((2, *size, 3), jnp.float32)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"num_classes": None}, "UNet.num_classes must be at least 0"),
        ({"num_classes": 0}, "UNet.num_classes must be at least 1, got 0"),
        ({"widths": ()}, r"len\(UNet.widths\) must be at least 1, got 0"),
        ({"upsampling": "nearest"}, "UNet.upsampling must be one of transposed, bilinear, got"),
        ({"dropout": 1.0}, r"UNet.dropout must be in \[0, 1\), got 1.0"),
    ],
)
def test_fields_that_cannot_be_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        outputs(UNet(**{"widths": (4, 8), "num_classes": 2} | fields), 1, 16, 16, 3)
