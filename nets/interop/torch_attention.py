"""Weights of torch.nn.MultiheadAttention as parameters of `MultiHeadAttention`, and back."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from nets.interop import tables
from nets.interop.tables import Arrays

_PARTS = ("query", "key", "value")


def attention_from_torch(
    state_dict: Mapping[str, Any], features: int, *, prefix: str = ""
) -> dict[str, Arrays]:
    """Parameters with which `MultiHeadAttention(features, heads)` computes what torch does.

    Torch keeps three kernels in one, in_proj_weight, or has one each (kdim, vdim); vdim has to be
    kdim. There are no parameters for bias_k, bias_v (add_bias_kv) here.

    Args:
        state_dict: tensors or arrays by name. What is returned are copies, of the same types.
        features: torch's embed_dim.
        prefix: what the module's names begin with, as in "layers.0.self_attn."; all other names
            are passed over.

    Returns:
        Kernel, and bias where there is one, of "query", "key", "value" and "out".

    Raises:
        TypeError: an argument is of another kind, such as one in another's place.
        ValueError: names are missing or unexpected, or shapes wrong: a table of all of them.
    """
    call = "attention_from_torch(state_dict, features)"
    tables.check_state_dict(call, state_dict)
    if not isinstance(features, int):
        raise TypeError(f"{call}: features must be an int, got {tables.kind(features)}")
    found = {
        name.removeprefix(prefix): tables.array(tensor)
        for name, tensor in state_dict.items()
        if name.startswith(prefix)
    }
    square, use_bias = (features, features), "in_proj_bias" in found
    apart = "in_proj_weight" not in found
    if apart:
        width = _size(found.get("k_proj_weight"), 1)
        sizes = {"query": features, "key": width, "value": width}
        expected = {f"{part[0]}_proj_weight": (features, sizes[part]) for part in _PARTS}
    else:
        expected = {"in_proj_weight": (3 * features, features)}
    expected["out_proj.weight"] = square
    if use_bias:
        expected |= {"in_proj_bias": (3 * features,), "out_proj.bias": (features,)}
    tables.check(
        f"these are not the weights of MultiHeadAttention({features}):",
        {prefix + name: shape for name, shape in expected.items()},
        {prefix + name: a for name, a in found.items()},
    )
    if apart:
        kernels = [found[f"{part[0]}_proj_weight"] for part in _PARTS]
    else:
        kernels = np.split(found["in_proj_weight"], 3)
    params = {part: {"kernel": k.T.copy()} for part, k in zip(_PARTS, kernels, strict=True)}
    params["out"] = {"kernel": found["out_proj.weight"].T.copy()}
    if use_bias:
        for part, bias in zip(_PARTS, np.split(found["in_proj_bias"], 3), strict=True):
            params[part]["bias"] = bias.copy()
        params["out"]["bias"] = found["out_proj.bias"].copy()
    return params


def attention_to_torch(params: Mapping[str, Any], *, prefix: str = "") -> Arrays:
    """The state dict with which torch computes the same: `attention_from_torch` back.

    Args:
        params: the parameters of `MultiHeadAttention`.
        prefix: what the names are to begin with.

    Returns:
        Copies, of the same types, by torch's names; one in_proj_weight where the memory is as wide
        as the queries.

    Raises:
        TypeError: params are no mapping.
        ValueError: names are missing or unexpected, or shapes wrong: a table of all of them.
    """
    tables.check_mapping("attention_to_torch(params)", "params", params)
    found = {name: tables.array(a) for name, a in tables.flat(params).items()}
    features, width = _size(found.get("out/kernel"), 1), _size(found.get("key/kernel"), 0)
    use_bias = "out/bias" in found
    expected = {"query/kernel": (features, features), "out/kernel": (features, features)}
    expected |= {"key/kernel": (width, features), "value/kernel": (width, features)}
    if use_bias:
        expected |= {f"{part}/bias": (features,) for part in (*_PARTS, "out")}
    tables.check("torch.nn.MultiheadAttention has no such weights:", expected, found)
    kernels = {part: found[f"{part}/kernel"].T for part in _PARTS}
    if width == features:
        theirs = {"in_proj_weight": np.concatenate(list(kernels.values()))}
    else:
        theirs = {f"{part[0]}_proj_weight": kernel.copy() for part, kernel in kernels.items()}
    theirs["out_proj.weight"] = found["out/kernel"].T.copy()
    if use_bias:
        theirs["in_proj_bias"] = np.concatenate([found[f"{part}/bias"] for part in _PARTS])
        theirs["out_proj.bias"] = found["out/bias"].copy()
    return {prefix + name: a for name, a in theirs.items()}


def _size(kernel: np.ndarray | None, axis: int) -> int | None:
    return kernel.shape[axis] if kernel is not None and kernel.ndim == 2 else None
