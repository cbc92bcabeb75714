import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.lenet import LeNet5
from tests.test_lenet import random_variables

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_lenet5_equals_torch(pooling):
    model = LeNet5(pooling=pooling)
    params = jax.tree.map(np.float32, random_variables(model, 1, 28, 28, 1)["params"])
    pool = {"average": torch.nn.AvgPool2d, "max": torch.nn.MaxPool2d}[pooling]
    theirs = torch.nn.Sequential(
        *(torch.nn.Conv2d(1, 6, 5, padding=2), torch.nn.Tanh(), pool(2)),
        *(torch.nn.Conv2d(6, 16, 5), torch.nn.Tanh(), pool(2), torch.nn.Flatten()),
        *(torch.nn.Linear(400, 120), torch.nn.Tanh(), torch.nn.Linear(120, 84), torch.nn.Tanh()),
        torch.nn.Linear(84, 10),
    )
    c5 = params["C5"]["kernel"].reshape(5, 5, 16, 120).transpose(3, 2, 0, 1).reshape(120, 400)
    kernels = [params[name]["kernel"].transpose(3, 2, 0, 1) for name in ("C1", "C3")]
    kernels += [c5, *(params[name]["kernel"].T for name in ("F6", "output"))]
    with torch.no_grad():
        layers = [layer for layer in theirs if hasattr(layer, "weight")]
        for layer, name, kernel in zip(layers, params, kernels, strict=True):
            layer.weight.copy_(torch.tensor(kernel))
            layer.bias.copy_(torch.tensor(params[name]["bias"]))
    x = np.random.default_rng(0).normal(size=(3, 28, 28, 1)).astype(np.float32)
    x_torch = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    expected = theirs(x_torch)
    expected.square().sum().backward()

    def loss(params, x):
        logits = model.apply({"params": params}, x, train=True)
        return jnp.square(logits).sum(), logits

    (gradients, x_gradient), logits = jax.jit(jax.grad(loss, (0, 1), has_aux=True))(params, x)
    close = {"rtol": 1e-3, "atol": 1e-3}
    np.testing.assert_allclose(logits, expected.detach(), **close)
    np.testing.assert_allclose(x_gradient[..., 0], x_torch.grad[:, 0], **close)
    for layer, name in zip(layers, params, strict=True):
        np.testing.assert_allclose(gradients[name]["bias"], layer.bias.grad, **close)
    c1 = layers[0].weight.grad.numpy().transpose(2, 3, 1, 0)
    np.testing.assert_allclose(gradients["C1"]["kernel"], c1, **close)
