"""Transposed convolution against torch's, forwards and backwards, in float64."""

import jax
import numpy as np
import pytest

from nets.layers.conv_transpose import ConvTranspose
from tests.support.checks import assert_close
from tests.support.plain_convolution import with_gradients

torch = pytest.importorskip("torch")

# rank, options that both have, with torch's names
CASES = {
    "doubled": (2, 4, {"stride": 2, "padding": 1}),
    "odd": (2, 3, {"stride": 2, "padding": 1, "output_padding": 1}),
    "one axis": (1, 5, {"stride": 3, "padding": 2, "output_padding": 2}),
    "uneven": (2, 3, {"stride": (3, 1), "padding": (0, 1), "output_padding": (2, 0)}),
    "dilated": (2, 3, {"stride": (2, 1), "padding": 2, "dilation": (3, 2)}),
    "three axes": (3, 2, {"stride": 2, "padding": (0, 1, 0), "output_padding": (1, 0, 1)}),
}


@pytest.mark.parametrize("features", [3, 10])
@pytest.mark.parametrize("name", CASES)
def test_it_equals_torch(name, features):
    rank, window, named = CASES[name]
    module = getattr(torch.nn, f"ConvTranspose{rank}d")(
        4, features, window, dtype=torch.float64, **named
    )
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 4, 3, 2)[: rank + 1] + (4,))
    inputs = torch.tensor(np.moveaxis(x, -1, 1), requires_grad=True)
    theirs = module(inputs)
    weights = rng.normal(size=theirs.shape)
    (theirs * torch.tensor(weights)).sum().backward()

    options = dict(named)
    padding = options.pop("padding")
    padding = (padding,) * rank if isinstance(padding, int) else padding
    options |= {"strides": options.pop("stride"), "padding": tuple((p, p) for p in padding)}
    model = ConvTranspose(features, (window,) * rank, dtype=None, **options)
    kernel = np.moveaxis(module.weight.detach().numpy(), (0, 1), (-2, -1))
    params = {"kernel": kernel, "bias": module.bias.detach().numpy()}
    with jax.enable_x64(True):
        y, (by_params, by_x) = with_gradients(model)(params, x, np.moveaxis(weights, 1, -1))
    assert_close(y, np.moveaxis(theirs.detach().numpy(), 1, -1))
    assert_close(by_x, np.moveaxis(inputs.grad.numpy(), 1, -1))
    assert_close(by_params["kernel"], np.moveaxis(module.weight.grad.numpy(), (0, 1), (-2, -1)))
    assert_close(by_params["bias"], module.bias.grad.numpy())
