"""Fields and counts of stacks, by formula; the network by a plain loop."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.demos.stacked_convolutions import StackedConvolutions
from nets.errors import UserError
from nets.inspect.receptive_field import receptive_field
from tests.test_resnet import batch, random_variables, shapes

ONE, THREE = StackedConvolutions((7,), num_classes=3), StackedConvolutions(num_classes=3)


def count(model):
    params = shapes(model, 1, 8, 8, 1)["params"]
    return sum(params[name]["kernel"].size for name in params if name.startswith("conv"))


@pytest.mark.parametrize("width", [8, 32])
def test_three_of_3x3_have_27_weights_where_one_of_7x7_has_49(width):
    assert count(THREE.clone(width=width)) == 27 * width**2
    assert count(ONE.clone(width=width)) == 49 * width**2


@pytest.mark.parametrize("model", [ONE, THREE])
def test_both_see_seven_positions_of_the_stem(model):
    """The stem itself sees three pixels, which makes nine."""
    variables = random_variables(model, 1, 8, 8, 1)
    forward = functools.partial(model.apply, variables, train=False)
    jaxpr = jax.make_jaxpr(forward)(jax.ShapeDtypeStruct((1, 20, 20, 1), jnp.float32))
    assert receptive_field(jaxpr, 0) == ([9, 9], [1, 1])


def last_maps(model, variables, x):
    """The maps before the head, by lax.conv and the running statistics."""
    params, statistics = variables["params"], variables["batch_stats"]
    y = x
    for i in range(1 + len(model.windows)):
        kernel = params[f"conv{i}" if i else "stem"]["kernel"]
        axes = ("NHWC", "HWIO", "NHWC")
        y = jax.lax.conv_general_dilated(y, kernel, (1, 1), "SAME", None, None, axes)
        norm, given = params[f"bn{i}"], statistics[f"bn{i}"]
        y = (np.asarray(y) - given["mean"]) / np.sqrt(given["var"] + 1e-5)
        y = np.maximum(y * norm["scale"] + norm["bias"], 0)
    return y


@pytest.mark.parametrize("model", [ONE, THREE])
def test_it_is_one_convolution_after_the_other(model):
    model = model.clone(width=4)
    variables, x = random_variables(model, 1, 8, 8, 2), batch(2, 8, 8, 2)
    fc = variables["params"]["fc"]
    expected = last_maps(model, variables, x).mean((1, 2)) @ fc["kernel"] + fc["bias"]
    logits = model.apply(variables, x, train=False)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("windows", [(3, 4), (0,), (-1,)])
def test_windows_without_a_middle_are_refused(windows):
    with pytest.raises(UserError, match=r"^windows must be odd and at least 1, got \("):
        shapes(StackedConvolutions(windows, num_classes=2), 1, 8, 8, 1)


def test_only_images():
    with pytest.raises(ValueError, match=r"takes images \[B, H, W, C\]"):
        jax.eval_shape(lambda: THREE.init(jax.random.key(0), jnp.ones((2, 8)), train=False))
