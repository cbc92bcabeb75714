"""Conversion between weights of torchvision's image networks and variables of the families here.

Names correspond by one rule: torch's `layer1.0.conv1.weight` is `layer1_0/conv1/kernel`.
"""

import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from flax import linen as nn

from nets.errors import UserError
from nets.interop import tables

Arrays = dict[str, np.ndarray]

_LEAVES = {
    ("params", "kernel"): "weight",
    ("params", "scale"): "weight",
    ("params", "bias"): "bias",
    ("batch_stats", "scale"): "weight",
    ("batch_stats", "bias"): "bias",
    ("batch_stats", "mean"): "running_mean",
    ("batch_stats", "var"): "running_var",
}


@runtime_checkable
class FlattenedMaps(Protocol):
    """A model with linear layers that read flattened maps, which torch flattens as [C, H, W].

    Attributes:
        flattened: the [H, W] of these maps by the layer's name.
    """

    flattened: Mapping[str, tuple[int, int]]


def vision_from_torch(
    state_dict: Mapping[str, Any],
    model: nn.Module,
    variables: Mapping,
    *,
    ignore: Sequence[str] = (),
) -> dict[str, Any]:
    """Variables with which `model` equals torchvision's module in evaluation.

        variables = jax.eval_shape(functools.partial(model.init, train=False), key, images)
        variables = vision_from_torch(load_weights("resnet50.pth"), model, variables)

    Images must be normalised as in the training of the weights: RGB in 0..1, minus the mean 0.485,
    0.456, 0.406, divided by the standard deviation 0.229, 0.224, 0.225. The exception are the
    weights of GoogLeNet and Inception-v3, which need (x - 0.5) / 0.5 here (`normalise="signed"` of
    `nets.data.images`): torchvision converts images inside the module (`transform_input`).

    torchvision's ResNets are `version="v1.5"`; "v1" accepts the same weights, because names and
    shapes are equal, but computes another function.

    Args:
        state_dict: tensors or arrays by name; they are copied, with the same dtypes.
        model: the model that the weights are for. Of one that flattens maps (`FlattenedMaps`) the
            rows of the linear layer after them are put in Flax's order.
        variables: variables of the model, or their shapes.
        ignore: prefixes of names that are skipped, such as "fc." for a model with num_classes=0, or
            "aux1.".

    Raises:
        TypeError: an argument has the wrong type, for example because arguments are swapped.
        ValueError: names are missing or unexpected, or shapes are wrong; the message is a table of
            all of them.
    """
    call = "vision_from_torch(state_dict, model, variables)"
    tables.check_state_dict(call, state_dict)
    _check_model(call, model)
    tables.check_variables(call, variables)
    if isinstance(ignore, str):
        raise TypeError(f"{call}: ignore must be a sequence such as ({ignore!r},), got {ignore!r}")
    arrays = {
        _module_name(name): tables.array(tensor)
        for name, tensor in state_dict.items()
        if not name.startswith(tuple(ignore)) and not name.endswith("num_batches_tracked")
    }
    by_key = {_key(name): name for name in arrays}
    leaves = tables.flat(variables)
    names = {path: _torch_name(path) for path in leaves}
    # "branch3x3_1" is torch's own name, "layer1_0" is not: both are the same key
    names = {path: by_key.get(_key(name), name) for path, name in names.items()}
    expected = {names[path]: _torch_shape(leaf.shape) for path, leaf in leaves.items()}
    tables.check(f"these are not the weights of {type(model).__name__}:", expected, arrays)
    flattened = model.flattened if isinstance(model, FlattenedMaps) else {}
    return tables.nested(
        {path: _from_torch(path, arrays[name], flattened) for path, name in names.items()}
    )


def vision_to_torch(variables: Mapping, model: nn.Module) -> Arrays:
    """The state dict for torchvision's module; the inverse of `vision_from_torch`.

    Has no num_batches_tracked, which evaluation does not need.

    Args:
        variables: parameters and batch statistics of the model.
        model: the model.

    Returns:
        Copies of the same dtypes, by torch's names.

    Raises:
        TypeError: an argument has the wrong type, for example because arguments are swapped.
    """
    call = "vision_to_torch(variables, model)"
    tables.check_variables(call, variables)
    _check_model(call, model)
    flattened = model.flattened if isinstance(model, FlattenedMaps) else {}
    return {
        _torch_name(path): _to_torch(path, tables.array(leaf), flattened)
        for path, leaf in tables.flat(variables).items()
    }


def load_weights(path: str | Path) -> Arrays:
    """The arrays of a file of weights, .safetensors, .pth or .pt, by name.

    Only tensors are unpickled. Needs the package safetensors or torch.

    Raises:
        UserError: the file has another ending, cannot be read, or holds anything but tensors by
            name; or the package is not installed.
    """
    path = Path(path)
    if path.suffix not in (".safetensors", ".pth", ".pt"):
        raise UserError(f"weights must be a .safetensors, .pth or .pt file, got {path}.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.numpy import load_file

            return load_file(path)
        import torch

        loaded = torch.load(path, map_location="cpu", weights_only=True)
        return {name: tables.array(tensor.detach()) for name, tensor in loaded.items()}
    except ImportError as error:
        name = error.name.partition(".")[0]
        raise UserError(f"{path}: reading it needs {name}: pip install {name}.") from error
    except (AttributeError, pickle.UnpicklingError) as error:
        raise UserError(
            f"{path} cannot be read: valid is a state dict, tensors by name and nothing else."
        ) from error
    except Exception as error:  # zip and safetensors raise their own errors
        line, *_ = f"{type(error).__name__}: {error}".splitlines()
        raise UserError(f"{path} cannot be read ({line}).") from error


def _check_model(call: str, model: Any) -> None:
    if not isinstance(model, nn.Module):
        kind = tables.kind(model)
        raise TypeError(f"{call}: model must be a network such as ResNet(...), got {kind}")


def _torch_name(path: str) -> str:
    collection, *modules, leaf = path.split("/")
    # a number after "3x3" or "dbl" belongs to the name (Inception)
    modules = [re.sub(r"(?<!\dx\d)(?<!dbl)_(\d+)(?=_|$)", r".\1", name) for name in modules]
    return ".".join([*modules, _LEAVES[collection, leaf]])


def _key(name: str) -> str:
    return re.sub(r"[._]", "_", name)


def _module_name(name: str) -> str:
    """The module's name of a weight: DenseNet's published files have "norm.1" for "norm1"."""
    return re.sub(r"(denselayer\d+\.(?:norm|conv))\.(\d)", r"\1\2", name)


def _torch_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[:-3:-1], *shape[:-2])


def _maps(path: str, shape: tuple[int, ...], flattened: Mapping) -> tuple[int, ...] | None:
    """[H, W, C] of the maps that a linear layer with a kernel of this shape reads flattened."""
    size = flattened.get("/".join(path.split("/")[1:-1]))
    if size is None or len(shape) != 2:
        return None
    return (*size, shape[0] // (size[0] * size[1]))


def _from_torch(path: str, a: np.ndarray, flattened: Mapping) -> np.ndarray:
    if a.ndim < 2:
        return a.copy()
    if maps := _maps(path, a.shape[::-1], flattened):
        height, width, channels = maps
        a = a.reshape(-1, channels, height, width).transpose(0, 2, 3, 1).reshape(len(a), -1)
    return np.ascontiguousarray(a.transpose(*range(2, a.ndim), 1, 0))


def _to_torch(path: str, a: np.ndarray, flattened: Mapping) -> np.ndarray:
    if a.ndim < 2:
        return a.copy()
    maps = _maps(path, a.shape, flattened)
    a = a.transpose(-1, -2, *range(a.ndim - 2))
    if maps:
        a = a.reshape(-1, *maps).transpose(0, 3, 1, 2).reshape(len(a), -1)
    return np.ascontiguousarray(a)
