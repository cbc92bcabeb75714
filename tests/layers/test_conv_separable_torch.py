"""Depthwise separable convolution against two convolutions of torch, in float64."""

import jax
import numpy as np
import pytest

from nets.layers.conv_separable import SeparableConv
from tests.support.checks import assert_close
from tests.support.plain_convolution import with_gradients

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("multiplier, stride", [(1, 2), (2, 1)])
def test_it_equals_two_convolutions(rank, multiplier, stride):
    conv, wide = getattr(torch.nn, f"Conv{rank}d"), 3 * multiplier
    options = {"dtype": torch.float64, "stride": stride, "padding": 1, "bias": False}
    depthwise = conv(3, wide, 3, groups=3, **options)
    pointwise = conv(wide, 5, 1, dtype=torch.float64)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 5, 4, 3)[: rank + 1] + (3,))
    inputs = torch.tensor(np.moveaxis(x, -1, 1), requires_grad=True)
    theirs = pointwise(depthwise(inputs))
    weights = rng.normal(size=theirs.shape)
    (theirs * torch.tensor(weights)).sum().backward()

    def ours(tensor):
        return np.moveaxis(tensor.detach().numpy(), (0, 1), (-1, -2))

    bias = pointwise.bias.detach().numpy()
    params = {
        "depthwise": {"kernel": ours(depthwise.weight)},
        "pointwise": {"kernel": ours(pointwise.weight), "bias": bias},
    }
    model = SeparableConv(5, (3,) * rank, stride, 1, multiplier=multiplier, dtype=None)
    with jax.enable_x64(True):
        y, (by_params, by_x) = with_gradients(model)(params, x, np.moveaxis(weights, 1, -1))
    assert_close(y, np.moveaxis(theirs.detach().numpy(), 1, -1))
    assert_close(by_x, np.moveaxis(inputs.grad.numpy(), 1, -1))
    assert_close(by_params["depthwise"]["kernel"], ours(depthwise.weight.grad))
    assert_close(by_params["pointwise"]["kernel"], ours(pointwise.weight.grad))
    assert_close(by_params["pointwise"]["bias"], pointwise.bias.grad.numpy())
