"""Flax variables under torch's names, and what compares a model with its twin in torch."""

import functools
import math
from collections.abc import Iterable, Mapping

import jax
import numpy as np
import torch
from flax.traverse_util import flatten_dict
from torch import nn
from torch.nn import functional as F

_LEAVES = {
    "weight": ("params/kernel", "params/scale"),
    "bias": ("params/bias",),
    "running_mean": ("batch_stats/mean",),
    "running_var": ("batch_stats/var",),
}


def to_torch(
    variables: Mapping, names: Iterable[str], maps: Mapping[str, tuple[int, int]] | None = None
) -> dict[str, torch.Tensor]:
    """The state dict with these names; `layer1.0.conv1.weight` is `layer1_0/conv1/kernel` of Flax.

    The rule, every ".<number>" a "_<number>" of the same module, is applied to torch's names: the
    other way a name such as Inception's `branch5x5_1` would be ambiguous. Kernels of convolutions
    go to [F, C, H, W], those of dense layers to [F, D].

    Args:
        variables: params and batch_stats, of Flax.
        names: of the state dict; torch's counters of batches are passed over.
        maps: for a dense layer behind flattened maps, by its module in torch, their (H, W): its
            inputs go from [H, W, C] to [C, H, W].

    Raises:
        ValueError: names or variables are left over: all of them.
    """
    variables = {
        "/".join(path[1:-1] + (path[0], path[-1])): np.asarray(value)
        for path, value in flatten_dict(variables).items()
    }
    found, missing = {}, []
    for name in names:
        module, leaf = name.rpartition(".")[::2]
        if leaf == "num_batches_tracked":
            continue
        parts = module.split(".")
        path = parts[0]
        for part in parts[1:]:
            path += ("_" if part.isdecimal() else "/") + part
        values = [variables.pop(f"{path}/{end}", None) for end in _LEAVES[leaf]]
        values = [value for value in values if value is not None]
        if len(values) != 1:
            missing.append(name)
            continue
        (value,) = values
        if maps and module in maps and leaf == "weight":
            height, width = maps[module]
            value = value.reshape(height, width, -1, value.shape[-1]).transpose(2, 0, 1, 3)
            value = value.reshape(-1, value.shape[-1])
        order = {4: (3, 2, 0, 1), 2: (1, 0)}.get(value.ndim, (0,))
        found[name] = torch.tensor(value.transpose(order))
    if missing or variables:
        raise ValueError(f"names without a variable: {missing}; left over: {sorted(variables)}")
    return found


def random_like(shapes: Mapping, seed: int = 0) -> dict:
    """Variables that hide nothing: no zero biases, no unit variances, activations of size one."""
    rng = np.random.default_rng(seed)

    def draw(path, a):
        if path[-1].key == "kernel":
            fan_in = math.prod(a.shape[:-1])
            return rng.standard_normal(a.shape, np.float32) * np.float32(math.sqrt(2 / fan_in))
        if path[-1].key in ("scale", "var"):
            return rng.uniform(0.5, 1.5, a.shape).astype(np.float32)
        return rng.normal(0, 0.2, a.shape).astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, shapes)


def images(*shape):
    return np.random.default_rng(1).standard_normal(shape, np.float32)


def nchw(x):
    return torch.tensor(x.transpose(0, 3, 1, 2))


def assert_close(ours, theirs, error=1e-4):
    theirs = theirs.detach().numpy()
    if theirs.ndim == 4:
        theirs = theirs.transpose(0, 2, 3, 1)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=error, atol=error * np.abs(theirs).max())


def drawn(model, x, **options):
    shapes = jax.eval_shape(functools.partial(model.init, **options), jax.random.key(0), x)
    return random_like(shapes)


def answers(model, variables, x, **options):
    return jax.jit(functools.partial(model.apply, **options))(variables, x)


def assert_equal(model, theirs, x, maps=None, **options):
    """`model`, called with `options`, answers as `theirs` of the same random weights."""
    variables = drawn(model, x, **options)
    theirs.load_state_dict(to_torch(variables, theirs.state_dict(), maps))
    with torch.no_grad():
        expected = theirs.eval()(nchw(x))
    assert expected.std() > 0.1
    assert_close(answers(model, variables, x, **options), expected)


class BasicConv2d(nn.Module):
    def __init__(self, *args, norm=True, **options):
        super().__init__()
        self.conv = nn.Conv2d(*args, bias=not norm, **options)
        self.bn = nn.BatchNorm2d(args[1], eps=1e-3) if norm else nn.Identity()

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))
