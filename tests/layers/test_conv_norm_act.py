"""The block against its formula in numpy, and the names and scopes of its parameters."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from nets.layers.classification_head import conv_and_norm
from nets.layers.conv_norm_act import ConvNormAct, conv_norm_act

CONV, NORM = conv_and_norm(jnp.float32, jnp.float32, train=False)
X = np.random.default_rng(0).normal(size=(2, 4, 3, 3)).astype(np.float32)


def random_variables(block):
    rng = np.random.default_rng(1)
    shapes = jax.eval_shape(block.init, jax.random.key(0), X)
    return jax.tree.map(lambda a: rng.uniform(0.5, 1.5, a.shape).astype(np.float32), shapes)


@pytest.mark.parametrize("activation", [nn.relu, None])
def test_it_convolves_then_normalises_then_activates(activation):
    block = ConvNormAct(5, conv=CONV, norm=NORM, activation=activation)
    variables = random_variables(block)
    params, stats = variables["params"], variables["batch_stats"]["bn"]
    expected = X @ params["conv"]["kernel"][0, 0]
    expected = (expected - stats["mean"]) / np.sqrt(stats["var"] + 1e-5)
    expected = expected * params["bn"]["scale"] + params["bn"]["bias"]
    assert (expected < 0).any()
    expected = expected if activation is None else np.maximum(expected, 0)
    np.testing.assert_allclose(block.apply(variables, X), expected, rtol=1e-5, atol=1e-5)


def test_without_a_normalisation_the_bias_of_the_convolution_is_added():
    conv = functools.partial(CONV, use_bias=True)
    block = ConvNormAct(5, conv=conv, norm=None, names=("0", "1"))
    variables = random_variables(block)
    assert list(variables) == ["params"] and list(variables["params"]) == ["0"]
    params = variables["params"]["0"]
    expected = np.maximum(X @ params["kernel"][0, 0] + params["bias"], 0)
    np.testing.assert_allclose(block.apply(variables, X), expected, rtol=1e-5, atol=1e-5)


def test_dropout_acts_before_the_normalisation():
    """A dropped value is normalised: it gives the bias, here 1, and not 0."""
    drop = functools.partial(nn.Dropout, 0.5, deterministic=False)
    block = ConvNormAct(5, conv=CONV, norm=NORM, activation=None, drop=drop)
    variables = random_variables(block)
    variables["params"]["bn"]["bias"] = np.ones(5, np.float32)
    variables["batch_stats"]["bn"]["mean"] = np.zeros(5, np.float32)
    y = block.apply(variables, X, rngs={"dropout": jax.random.key(0)})
    assert 0.3 < (y == 1).mean() < 0.7 and (y != 0).all()


def test_the_window_the_strides_the_padding_and_the_groups_are_the_convolutions():
    x = np.zeros((1, 9, 7, 6), np.float32)
    block = ConvNormAct(4, (5, 3), 2, "VALID", conv=CONV, norm=NORM, groups=2)
    y, variables = block.init_with_output(jax.random.key(0), x)
    assert y.shape == (1, 3, 3, 4) and variables["params"]["conv"]["kernel"].shape == (5, 3, 3, 4)


def test_the_function_puts_its_parameters_into_the_calling_module():
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            return conv_norm_act(x, 5, conv=CONV, norm=NORM, names=("conv1", "bn1"))

    params = jax.eval_shape(Net().init, jax.random.key(0), X)["params"]
    assert {name: list(leaves) for name, leaves in params.items()} == {
        "conv1": ["kernel"],
        "bn1": ["bias", "scale"],
    }
