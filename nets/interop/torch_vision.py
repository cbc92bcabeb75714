"""Weights of torchvision's image networks as variables of the families here, and back.

Names correspond by one rule: torch's `layer1.0.conv1.weight` is `layer1_0/conv1/kernel`.
"""

import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from flax import linen as nn

from nets.errors import UserError
from nets.interop import tables

Arrays = dict[str, np.ndarray]

_LEAVES = {
    ("params", "kernel"): "weight",
    ("params", "scale"): "weight",
    ("params", "bias"): "bias",
    ("batch_stats", "mean"): "running_mean",
    ("batch_stats", "var"): "running_var",
}


def vision_from_torch(
    state_dict: Mapping[str, Any],
    model: nn.Module,
    variables: Mapping,
    *,
    ignore: Sequence[str] = (),
) -> dict[str, Any]:
    """Variables with which `model` computes what torchvision's module does in evaluation.

        variables = jax.eval_shape(functools.partial(model.init, train=False), key, images)
        variables = vision_from_torch(load_weights("resnet50.pth"), model, variables)

    The images have to be those that the weights were trained on: RGB in 0..1, less the mean 0.485,
    0.456, 0.406, over the standard deviation 0.229, 0.224, 0.225. But torchvision's GoogLeNet and
    Inception-v3, with their own weights, turn these inside (`transform_input`) into -1..1, which
    is what the weights want here: (x - 0.5) / 0.5, `normalise="signed"` of `nets.data.images`.

    torchvision's ResNets are `version="v1.5"`; "v1" has the same names and shapes, takes the same
    weights, and is another function.

    Args:
        state_dict: tensors or arrays by name. What is returned are copies, of the same types.
        model: what the weights are for. Its `flattened`, if it has that, says which linear layers
            read flattened maps, and of what size [H, W]: torch flattens [C, H, W].
        variables: those of the model, or their shapes.
        ignore: what the names of weights begin with that the model is not to have, such as "fc."
            for one with num_classes=0, or "aux1.".

    Raises:
        TypeError: an argument is of another kind, such as one in another's place.
        ValueError: names are missing or unexpected, or shapes wrong: a table of all of them.
    """
    call = "vision_from_torch(state_dict, model, variables)"
    tables.check_state_dict(call, state_dict)
    _check_model(call, model)
    tables.check_variables(call, variables)
    if isinstance(ignore, str):
        raise TypeError(f"{call}: ignore must be a sequence such as ({ignore!r},), got {ignore!r}")
    found = {
        _today(name): tables.array(tensor)
        for name, tensor in state_dict.items()
        if not name.startswith(tuple(ignore)) and not name.endswith("num_batches_tracked")
    }
    by_key = {_key(name): name for name in found}
    leaves = tables.flat(variables)
    names = {path: _torch_name(path) for path in leaves}
    # "branch3x3_1" is torch's own name, "layer1_0" is not: both are the same key
    names = {path: by_key.get(_key(name), name) for path, name in names.items()}
    expected = {names[path]: _torch_shape(leaf.shape) for path, leaf in leaves.items()}
    tables.check(f"these are not the weights of {type(model).__name__}:", expected, found)
    flattened = getattr(model, "flattened", {})
    return tables.nested(
        {path: _from_torch(path, found[name], flattened) for path, name in names.items()}
    )


def vision_to_torch(variables: Mapping, model: nn.Module) -> Arrays:
    """The state dict with which torchvision's module computes the same: `vision_from_torch` back.

    Without num_batches_tracked, which torch's `load_state_dict` does not need for evaluation.

    Args:
        variables: parameters and batch statistics of the model.
        model: the model.

    Returns:
        Copies, of the same types, by torch's names.

    Raises:
        TypeError: an argument is of another kind, such as one in another's place.
    """
    call = "vision_to_torch(variables, model)"
    tables.check_variables(call, variables)
    _check_model(call, model)
    flattened = getattr(model, "flattened", {})
    return {
        _torch_name(path): _to_torch(path, tables.array(leaf), flattened)
        for path, leaf in tables.flat(variables).items()
    }


def load_weights(path: str | Path) -> Arrays:
    """The arrays of a file of weights, .safetensors or torch's own (.pth, .pt), by name.

    Of torch's nothing but tensors is unpickled. Needs the package safetensors or torch.

    Raises:
        UserError: the file ends in something else, cannot be read, or holds more than tensors by
            name; or the package is not there.
    """
    path = Path(path)
    if path.suffix not in (".safetensors", ".pth", ".pt"):
        raise UserError(f"{path}: valid are files that end in .safetensors, .pth or .pt.")
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
    except Exception as error:  # zip and safetensors have errors of their own
        line, *_ = f"{type(error).__name__}: {error}".splitlines()
        raise UserError(f"{path} cannot be read ({line}).") from error


def _check_model(call: str, model: Any) -> None:
    if not isinstance(model, nn.Module):
        given = tables.kind(model)
        raise TypeError(f"{call}: model must be a network such as ResNet(...), got {given}")


def _torch_name(path: str) -> str:
    collection, *modules, leaf = path.split("/")
    # a number after "3x3" or "dbl" belongs to the name (Inception)
    modules = [re.sub(r"(?<!\dx\d)(?<!dbl)_(\d+)(?=_|$)", r".\1", name) for name in modules]
    return ".".join([*modules, _LEAVES[collection, leaf]])


def _key(name: str) -> str:
    return re.sub(r"[._]", "_", name)


def _today(name: str) -> str:
    """DenseNet's published files have "norm.1" where its module has "norm1"."""
    return re.sub(r"(denselayer\d+\.(?:norm|conv))\.(\d)", r"\1\2", name)


def _torch_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[:-3:-1], *shape[:-2])


def _maps(path: str, shape: tuple[int, ...], flattened: Mapping) -> tuple[int, ...] | None:
    """[H, W, C] of the maps that a linear layer's kernel of this shape reads flattened."""
    size = flattened.get("/".join(path.split("/")[1:-1]))
    if size is None or len(shape) != 2:
        return None
    return (*size, shape[0] // (size[0] * size[1]))


def _from_torch(path, a, flattened):
    if a.ndim < 2:
        return a.copy()
    if maps := _maps(path, a.shape[::-1], flattened):
        height, width, channels = maps
        a = a.reshape(-1, channels, height, width).transpose(0, 2, 3, 1).reshape(len(a), -1)
    return np.ascontiguousarray(a.transpose(*range(2, a.ndim), 1, 0))


def _to_torch(path, a, flattened):
    if a.ndim < 2:
        return a.copy()
    maps = _maps(path, a.shape, flattened)
    a = a.transpose(-1, -2, *range(a.ndim - 2))
    if maps:
        a = a.reshape(-1, *maps).transpose(0, 3, 1, 2).reshape(len(a), -1)
    return np.ascontiguousarray(a)
