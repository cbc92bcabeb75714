import jax
import numpy as np
import pytest

from nets.layers.squeeze_excite import SqueezeExcite
from tests.support.checks import jit

torch = pytest.importorskip("torch")


def test_it_equals_torch():
    rng = np.random.default_rng(0)
    x, dy = (rng.normal(size=(2, 3, 4, 6)).astype(np.float32) for _ in range(2))
    fc1, fc2 = torch.nn.Conv2d(6, 3, 1), torch.nn.Conv2d(3, 6, 1)
    t = torch.tensor(np.moveaxis(x, -1, 1), requires_grad=True)
    z = torch.nn.functional.adaptive_avg_pool2d(t, 1)
    want = t * torch.sigmoid(fc2(torch.relu(fc1(z))))
    want.backward(torch.tensor(np.moveaxis(dy, -1, 1)))

    params = {
        name: {
            "kernel": layer.weight.detach().numpy().transpose(2, 3, 1, 0),
            "bias": layer.bias.detach().numpy(),
        }
        for name, layer in (("fc1", fc1), ("fc2", fc2))
    }

    def with_gradients(params, x):
        y, pullback = jax.vjp(lambda p, x: SqueezeExcite(3).apply({"params": p}, x), params, x)
        return y, *pullback(dy)

    y, slopes, dx = jit(with_gradients)(params, x)
    close = {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(np.moveaxis(y, -1, 1), want.detach(), **close)
    np.testing.assert_allclose(np.moveaxis(dx, -1, 1), t.grad, **close)
    for name, layer in (("fc1", fc1), ("fc2", fc2)):
        slope = slopes[name]["kernel"].transpose(3, 2, 0, 1)
        np.testing.assert_allclose(slope, layer.weight.grad, **close)
        np.testing.assert_allclose(slopes[name]["bias"], layer.bias.grad, **close)
