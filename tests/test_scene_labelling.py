"""Farabet et al.'s network: its count by hand, shared weights, scales, and sizes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.scene_labelling import SceneLabelling
from tests.test_resnet import random_variables

SMALL = SceneLabelling(num_classes=3, widths=(4, 6), colour=1, window=3, neighbourhood=5, hidden=8)


def outputs(model, *shape):
    run = functools.partial(model.init_with_output, train=False)
    return jax.eval_shape(run, jax.random.key(0), jax.ShapeDtypeStruct(shape, jnp.float32))


def count(model, *shape):
    return sum(a.size for a in jax.tree.leaves(outputs(model, *shape)[1]["params"]))


def test_parameters_are_those_of_its_layers():
    luminance, colour = 49 * 1 * 10 + 10, 49 * 2 * 6 + 6
    later = 49 * 16 * 64 + 64 + 49 * 64 * 256 + 256
    classifier = 3 * 256 * 1024 + 1024 + 1024 * 8 + 8
    model = SceneLabelling(num_classes=8)
    assert count(model, 1, 64, 64, 3) == luminance + colour + later + classifier == 1_650_062
    one = classifier - 2 * 256 * 1024  # one scale's maps instead of three
    assert count(model.clone(scales=1), 1, 64, 64, 3) == luminance + colour + later + one
    grey = 49 * 1 * 16 + 16
    model = model.clone(colour=None)
    assert count(model, 1, 64, 64, 1) == grey + later + classifier


@pytest.mark.parametrize("scales", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (32, 48), (33, 47), (180, 240)])
def test_the_logits_have_the_size_of_the_image(scales, size):
    model = SMALL.clone(scales=scales, dtype=jnp.bfloat16)
    logits, _ = outputs(model, 2, *size, 3)
    assert (logits.shape, logits.dtype) == ((2, *size, 3), jnp.float32)


def test_scales_widen_what_a_pixel_sees():
    """By at most 8 pixels at one scale, of two 3x3 windows, a pooling and the upsampling."""
    x = np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype(np.float32)
    reach = []
    for scales in (1, 3):
        model = SMALL.clone(scales=scales, neighbourhood=None)
        variables = random_variables(model, *x.shape)

        @jax.jit
        def gradient(x, model=model, variables=variables):
            return jax.grad(lambda x: model.apply(variables, x, train=False)[0, 32, 32, 0])(x)

        columns = np.flatnonzero(np.abs(gradient(x)[0]).max((0, 2)) > 1e-7)
        reach.append(np.abs(columns - 32).max())
    assert 2 <= reach[0] <= 8 and reach[1] > 2 * reach[0]


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"num_classes": 0}, "SceneLabelling.num_classes must be at least 1, got 0"),
        ({"scales": 0}, "SceneLabelling.scales must be at least 1, got 0"),
        ({"widths": ()}, r"len\(SceneLabelling.widths\) must be at least 1, got 0"),
        ({"colour": 4}, r"colour must be between 0 and widths\[0\]=4 \(exclusive\), got 4"),
        ({"dropout": -0.1}, r"SceneLabelling.dropout must be in \[0, 1\), got -0.1"),
    ],
)
def test_fields_that_cannot_be_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        outputs(SMALL.clone(**fields), 1, 16, 16, 3)


def test_colours_need_three_channels():
    message = "SceneLabelling.colour must be None for images of 1 channels, got 1"
    with pytest.raises(ValueError, match=message):
        outputs(SMALL, 1, 16, 16, 1)
