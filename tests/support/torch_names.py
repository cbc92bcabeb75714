"""Flax variables under torch's names, and the comparison of a model with its torch version."""

import functools
import math
from collections.abc import Iterable, Mapping

import jax
import numpy as np
import torch
from flax import linen
from torch import nn
from torch.nn import functional as F

from nets.interop.torch_vision import FlattenedMaps, vision_to_torch


class Flattened(linen.Module):
    """A model with the only field that `vision_to_torch` reads."""

    flattened: Mapping[str, tuple[int, int]]


def to_torch(
    variables: Mapping, names: Iterable[str], flattened: Mapping[str, tuple[int, int]] = {}
) -> dict[str, torch.Tensor]:
    """The result of `vision_to_torch`, which must have these names.

    Args:
        variables: params and batch_stats, of Flax.
        names: of the state dict; torch's counters of batches are ignored.
        flattened: (H, W) of the maps before each dense layer that flattens them, by its name here.
    """
    arrays = vision_to_torch(variables, Flattened(flattened=flattened))
    assert arrays.keys() == {name for name in names if not name.endswith("num_batches_tracked")}
    return {name: torch.tensor(a) for name, a in arrays.items()}


def random_like(shapes: Mapping, seed: int = 0) -> dict:
    """Random variables that reveal every error: no zero biases, no unit variances."""
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


def assert_equal(model, theirs, x, flattened=None, **options):
    """`model`, called with `options`, equals `theirs` with the same random weights."""
    variables = drawn(model, x, **options)
    if flattened is None:
        flattened = model.flattened if isinstance(model, FlattenedMaps) else {}
    theirs.load_state_dict(to_torch(variables, theirs.state_dict(), flattened))
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
