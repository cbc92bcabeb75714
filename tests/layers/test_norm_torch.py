import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from nets.layers.norm import BatchNorm, local_response_norm
from tests.support.checks import jit

torch = pytest.importorskip("torch")


def data(seed, *shape):
    return np.random.default_rng(seed).normal(1, 2, size=shape).astype(np.float32)


def theirs(module, x):
    """Torch's result for x [B, *spatial, C]."""
    y = module(torch.tensor(np.moveaxis(x, -1, 1)))
    return np.moveaxis(y.detach().numpy(), 1, -1)


def params(module, channels):
    """Random ones, the same for both."""
    scale, bias = data(8, channels), data(9, channels)
    module.weight.data, module.bias.data = torch.tensor(scale), torch.tensor(bias)
    return {"scale": scale, "bias": bias}


def test_batch_norm_equals_torch_but_for_the_running_variance():
    x, module = data(0, 2, 3, 2, 4), torch.nn.BatchNorm2d(4)
    variables = {"params": params(module, 4)}
    mean, var = data(1, 4), np.abs(data(2, 4))
    variables["batch_stats"] = {"mean": mean, "var": var}
    module.running_mean, module.running_var = torch.tensor(mean), torch.tensor(var)

    def both(variables, x):
        eval_ = BatchNorm(use_running_average=True).apply(variables, x)
        train = BatchNorm(use_running_average=False)
        return eval_, *train.apply(variables, x, mutable="batch_stats")

    eval_, train, new = jit(both)(variables, x)
    np.testing.assert_allclose(eval_, theirs(module.eval(), x), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(train, theirs(module.train(), x), rtol=1e-4, atol=1e-4)
    new, count = new["batch_stats"], 2 * 3 * 2
    np.testing.assert_allclose(new["mean"], module.running_mean, rtol=1e-5)
    batch = (module.running_var.numpy() - 0.9 * var) * (count - 1) / count
    np.testing.assert_allclose(new["var"], 0.9 * var + batch, rtol=1e-4)


@pytest.mark.parametrize("size", [4, 5])
def test_local_response_norm_equals_torch_whose_alpha_is_divided(size):
    x = data(0, 2, 3, 2, 7)
    module = torch.nn.LocalResponseNorm(size, alpha=0.2 * size, beta=0.75, k=2.0)
    ours = jit(lambda x: local_response_norm(x, size, 2.0, 0.2, 0.75))(x)
    np.testing.assert_allclose(ours, theirs(module, x), rtol=1e-4, atol=1e-5)


def test_flaxs_layer_norm_equals_torch():
    x, module = data(0, 3, 5, 6), torch.nn.LayerNorm(6)
    variables = {"params": params(module, 6)}
    ours = jit(nn.LayerNorm(epsilon=1e-5).apply)(variables, x * 0.01)  # so that epsilon counts
    want = module(torch.tensor(x * 0.01)).detach()
    np.testing.assert_allclose(ours, want, rtol=1e-3, atol=1e-3)


def test_flaxs_group_norm_equals_torch():
    x, module = data(0, 3, 5, 2, 6) * 0.01, torch.nn.GroupNorm(3, 6)
    variables = {"params": params(module, 6)}
    ours = jit(nn.GroupNorm(num_groups=3, epsilon=1e-5).apply)(variables, jnp.asarray(x))
    np.testing.assert_allclose(ours, theirs(module, x), rtol=1e-3, atol=1e-3)


def test_epsilon_is_what_flax_and_torch_differ_by():
    assert {nn.LayerNorm.epsilon, nn.GroupNorm(num_groups=1).epsilon} == {1e-6}
    assert jax.tree.leaves([torch.nn.LayerNorm(1).eps, torch.nn.GroupNorm(1, 1).eps]) == [1e-5] * 2
