"""Conversion between weights of torch.nn.MultiheadAttention and of `MultiHeadAttention`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from nets.interop import tables
from nets.interop.tables import Arrays

_PARTS = ("query", "key", "value")


def attention_from_torch(
    state_dict: Mapping[str, Any], features: int, *, prefix: str = ""
) -> dict[str, Arrays]:
    """Parameters with which `MultiHeadAttention(features, heads)` equals torch's module.

    Torch has one in_proj_weight for three kernels, or separate ones (kdim, vdim); vdim must equal
    kdim. bias_k and bias_v (add_bias_kv) are not supported.

    Args:
        state_dict: tensors or arrays by name; they are copied, with the same dtypes.
        features: torch's embed_dim.
        prefix: prefix of the module's names, such as "layers.0.self_attn."; other names are
            ignored.

    Returns:
        Kernel, and bias where there is one, of "query", "key", "value" and "out".

    Raises:
        TypeError: an argument has the wrong type, for example because arguments are swapped.
        ValueError: names are missing or unexpected, or shapes are wrong; the message is a table of
            all of them.
    """
    call = "attention_from_torch(state_dict, features)"
    tables.check_state_dict(call, state_dict)
    if not isinstance(features, int):
        raise TypeError(f"{call}: features must be an int, got {tables.kind(features)}")
    weights = {
        name.removeprefix(prefix): tables.array(tensor)
        for name, tensor in state_dict.items()
        if name.startswith(prefix)
    }
    square, use_bias = (features, features), "in_proj_bias" in weights
    separate = "in_proj_weight" not in weights
    if separate:
        width = _size(weights.get("k_proj_weight"), 1)
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
        {prefix + name: a for name, a in weights.items()},
    )
    if separate:
        kernels = [weights[f"{part[0]}_proj_weight"] for part in _PARTS]
    else:
        kernels = np.split(weights["in_proj_weight"], 3)
    params = {part: {"kernel": k.T.copy()} for part, k in zip(_PARTS, kernels, strict=True)}
    params["out"] = {"kernel": weights["out_proj.weight"].T.copy()}
    if use_bias:
        for part, bias in zip(_PARTS, np.split(weights["in_proj_bias"], 3), strict=True):
            params[part]["bias"] = bias.copy()
        params["out"]["bias"] = weights["out_proj.bias"].copy()
    return params


def attention_to_torch(params: Mapping[str, Any], *, prefix: str = "") -> Arrays:
    """The state dict for torch's module; the inverse of `attention_from_torch`.

    Args:
        params: the parameters of `MultiHeadAttention`.
        prefix: prefix of the names in the state dict.

    Returns:
        Copies of the same dtypes, by torch's names; one in_proj_weight if the memory is as wide as
        the queries.

    Raises:
        TypeError: params is not a mapping.
        ValueError: names are missing or unexpected, or shapes are wrong; the message is a table of
            all of them.
    """
    tables.check_mapping("attention_to_torch(params)", "params", params)
    weights = {name: tables.array(a) for name, a in tables.flat(params).items()}
    features, width = _size(weights.get("out/kernel"), 1), _size(weights.get("key/kernel"), 0)
    use_bias = "out/bias" in weights
    expected = {"query/kernel": (features, features), "out/kernel": (features, features)}
    expected |= {"key/kernel": (width, features), "value/kernel": (width, features)}
    if use_bias:
        expected |= {f"{part}/bias": (features,) for part in (*_PARTS, "out")}
    tables.check("torch.nn.MultiheadAttention has no such weights:", expected, weights)
    kernels = {part: weights[f"{part}/kernel"].T for part in _PARTS}
    if width == features:
        theirs = {"in_proj_weight": np.concatenate(list(kernels.values()))}
    else:
        theirs = {f"{part[0]}_proj_weight": kernel.copy() for part, kernel in kernels.items()}
    theirs["out_proj.weight"] = weights["out/kernel"].T.copy()
    if use_bias:
        theirs["in_proj_bias"] = np.concatenate([weights[f"{part}/bias"] for part in _PARTS])
        theirs["out_proj.bias"] = weights["out/bias"].copy()
    return {prefix + name: a for name, a in theirs.items()}


def _size(kernel: np.ndarray | None, axis: int) -> int | None:
    return kernel.shape[axis] if kernel is not None and kernel.ndim == 2 else None
