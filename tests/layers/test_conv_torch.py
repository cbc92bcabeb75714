"""Convolution against torch's, forwards and backwards, in float64."""

import jax
import numpy as np
import pytest

from nets.layers.conv import Conv
from tests.support.checks import assert_close
from tests.support.plain_convolution import CASES, case, with_gradients

torch = pytest.importorskip("torch")

# options of Conv and those of torch's module for the same
MODULES = {
    "number": ({"padding": 2, "strides": 2}, {"padding": 2, "stride": 2}),
    "same": ({"padding": "SAME", "dilation": 2}, {"padding": "same", "dilation": 2}),
    "valid": ({"padding": "VALID", "strides": 3}, {"padding": "valid", "stride": 3}),
    "circular": ({"padding": "CIRCULAR"}, {"padding": 1, "padding_mode": "circular"}),
    "groups": ({"padding": 1, "groups": 2}, {"padding": 1, "groups": 2}),
}


def channels_first(x):
    return torch.tensor(np.moveaxis(x, -1, 1), requires_grad=True)


def out_in_first(kernel):
    return torch.tensor(np.moveaxis(kernel, (-1, -2), (0, 1)), requires_grad=True)


def assert_equal(y, gradients, theirs, x, kernel, bias, weights):
    """y and its gradients by ({kernel, bias}, x) are torch's: `theirs` of `x`, `kernel`, `bias`."""
    (theirs * channels_first(weights).detach()).sum().backward()
    by_params, by_x = gradients
    assert_close(y, np.moveaxis(theirs.detach().numpy(), 1, -1))
    assert_close(by_x, np.moveaxis(x.grad.numpy(), 1, -1))
    assert_close(by_params["kernel"], np.moveaxis(kernel.grad.numpy(), (0, 1), (-1, -2)))
    assert_close(by_params["bias"], bias.grad.numpy())


@pytest.mark.parametrize("name", CASES)
def test_it_equals_torch_given_the_padding(name):
    model, params, x, weights, pads, options, _ = case(name)
    with jax.enable_x64(True):
        y, gradients = with_gradients(model)(params, x, weights)
    inputs, kernel = channels_first(x), out_in_first(params["kernel"])
    bias = torch.tensor(params["bias"], requires_grad=True)
    mode = "circular" if options.get("padding") == "CIRCULAR" else "constant"
    padded = torch.nn.functional.pad(inputs, np.ravel(pads[::-1]).tolist(), mode)
    axes = tuple(range(2, x.ndim))
    conv = getattr(torch.nn.functional, f"conv{len(axes)}d")
    theirs = conv(
        padded,
        kernel.flip(axes) if model.flip else kernel,
        bias,
        stride=model.strides,
        dilation=model.dilation,
        groups=model.groups,
    )
    assert_equal(y, gradients, theirs, inputs, kernel, bias, weights)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_its_options_are_those_of_torchs_module(name, rank):
    options, named = MODULES[name]
    module = getattr(torch.nn, f"Conv{rank}d")(4, 6, 3, dtype=torch.float64, **named)
    kernel = np.moveaxis(module.weight.detach().numpy(), (0, 1), (-1, -2))
    params = {"kernel": kernel, "bias": module.bias.detach().numpy()}
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 7, 6, 5)[: rank + 1] + (4,))
    inputs = channels_first(x)
    theirs = module(inputs)
    weights = np.moveaxis(rng.normal(size=theirs.shape), 1, -1)
    with jax.enable_x64(True):
        model = Conv(6, (3,) * rank, dtype=None, **options)
        y, gradients = with_gradients(model)(params, x, weights)
    assert_equal(y, gradients, theirs, inputs, module.weight, module.bias, weights)
