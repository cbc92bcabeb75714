"""Conversion between weights of torch's Transformer layers and of `TransformerStack`."""

import re
from collections.abc import Mapping
from typing import Any

from nets.interop import tables
from nets.interop.tables import Arrays
from nets.interop.torch_attention import attention_from_torch, attention_to_torch

_ATTENTION = {"attention": "self_attn", "cross_attention": "multihead_attn"}
_DENSE = {"mlp_in": "linear1", "mlp_out": "linear2"}


def transformer_from_torch(
    state_dict: Mapping[str, Any], features: int, *, prefix: str = ""
) -> dict[str, Any]:
    """Parameters with which `TransformerStack` equals torch's encoder or decoder.

    Of torch.nn.TransformerEncoder and TransformerDecoder, the two in a torch.nn.Transformer (prefix
    "encoder." or "decoder."), or one layer of theirs (whose parameters are those of a
    `TransformerLayer`). A final norm, which torch.nn.Transformer always has, is there if it is in
    the state dict; torch's norm_first is norm="pre".

    Args:
        state_dict: tensors or arrays by name; they are copied, with the same dtypes.
        features: torch's d_model.
        prefix: prefix of the names of the module; other names are ignored.

    Raises:
        TypeError: an argument has the wrong type, for example because arguments are swapped.
        ValueError: names are missing or unexpected, or shapes are wrong; the message is a table of
            all of them.
    """
    call = "transformer_from_torch(state_dict, features)"
    tables.check_state_dict(call, state_dict)
    if not isinstance(features, int):
        raise TypeError(f"{call}: features must be an int, got {tables.kind(features)}")
    weights = {
        name.removeprefix(prefix): tables.array(tensor)
        for name, tensor in state_dict.items()
        if name.startswith(prefix)
    }
    found = {match[1] for name in weights if (match := re.match(r"layers\.(\d+)\.", name))}
    if not found:
        return _layer_from_torch(weights, features, prefix)
    params, rest = {}, dict(weights)
    for i in sorted(found, key=int):
        start = f"layers.{i}."
        layer = {name: rest.pop(name) for name in weights if name.startswith(start)}
        short = {name.removeprefix(start): a for name, a in layer.items()}
        params[f"layer_{i}"] = _layer_from_torch(short, features, prefix + start)
    if rest:
        expected = {f"{prefix}norm.weight": (features,)}
        expected |= {f"{prefix}norm.bias": (features,)} if "norm.bias" in rest else {}
        arrays = {prefix + name: a for name, a in rest.items()}
        tables.check("these are not the weights of a Transformer:", expected, arrays)
        params["norm"] = _norm_from_torch(rest, "norm")
    return params


def transformer_to_torch(params: Mapping[str, Any], *, prefix: str = "") -> Arrays:
    """The state dict for torch's module; the inverse of `transformer_from_torch`.

    Args:
        params: the parameters of a `TransformerStack`, or of one `TransformerLayer`.
        prefix: prefix of the names in the state dict.

    Returns:
        Copies of the same dtypes, by torch's names.

    Raises:
        TypeError: params is not a mapping.
        ValueError: these are not such parameters.
    """
    tables.check_mapping("transformer_to_torch(params)", "params", params)
    if "layer_0" not in params:
        return _layer_to_torch(params, prefix)
    theirs: Arrays = {}
    for name, part in params.items():
        if match := re.fullmatch(r"layer_(\d+)", name):
            theirs |= _layer_to_torch(part, f"{prefix}layers.{match[1]}.")
        else:
            theirs |= _norm_to_torch(part, f"{prefix}{name}")
    return theirs


def _norms(cross: bool) -> dict[str, str]:
    """Our names of a layer's norms, by torch's."""
    ours = ("attention_norm", *(("cross_norm",) if cross else ()), "mlp_norm")
    return {name: f"norm{i}" for i, name in enumerate(ours, 1)}


def _layer_from_torch(weights: Arrays, features: int, prefix: str) -> dict[str, Any]:
    cross = any(name.startswith("multihead_attn.") for name in weights)
    heads = tuple(f"{name}." for name in _ATTENTION.values())
    rest = {name: a for name, a in weights.items() if not name.startswith(heads)}
    biased = any(name.endswith(".bias") for name in rest)
    hidden = rest["linear1.weight"].shape[0] if "linear1.weight" in rest else None
    expected = {"linear1.weight": (hidden, features), "linear2.weight": (features, hidden)}
    for norm in _norms(cross).values():
        expected |= {f"{norm}.weight": (features,)}
        expected |= {f"{norm}.bias": (features,)} if biased else {}
    if biased:
        expected |= {"linear1.bias": (hidden,), "linear2.bias": (features,)}
    tables.check(
        f"these are not the weights of a Transformer layer of {features} features:",
        {prefix + name: shape for name, shape in expected.items()},
        {prefix + name: a for name, a in rest.items()},
    )
    params: dict[str, Any] = {
        ours: attention_from_torch(weights, features, prefix=f"{theirs}.")
        for ours, theirs in _ATTENTION.items()
        if cross or ours == "attention"
    }
    for ours, theirs in _DENSE.items():
        params[ours] = {"kernel": weights[f"{theirs}.weight"].T.copy()}
        if biased:
            params[ours]["bias"] = weights[f"{theirs}.bias"].copy()
    for ours, theirs in _norms(cross).items():
        params[ours] = _norm_from_torch(rest, theirs)
    return params


def _norm_from_torch(weights: Arrays, name: str) -> Arrays:
    names = {"scale": f"{name}.weight", "bias": f"{name}.bias"}
    return {ours: weights[theirs].copy() for ours, theirs in names.items() if theirs in weights}


def _layer_to_torch(params: Mapping[str, Any], prefix: str) -> Arrays:
    cross = "cross_attention" in params
    parts = {*_DENSE, *_norms(cross), "attention", *(("cross_attention",) if cross else ())}
    if {*params} != parts:
        raise ValueError(
            f"a Transformer layer has the parts {', '.join(sorted(parts))}, "
            f"got {', '.join(sorted(params)) or 'none'}"
        )
    theirs: Arrays = {}
    for ours, name in _ATTENTION.items():
        if ours in params:
            theirs |= attention_to_torch(params[ours], prefix=f"{prefix}{name}.")
    for ours, name in _DENSE.items():
        theirs[f"{prefix}{name}.weight"] = tables.array(params[ours]["kernel"]).T.copy()
        if "bias" in params[ours]:
            theirs[f"{prefix}{name}.bias"] = tables.array(params[ours]["bias"]).copy()
    for ours, name in _norms(cross).items():
        theirs |= _norm_to_torch(params[ours], prefix + name)
    return theirs


def _norm_to_torch(params: Mapping[str, Any], name: str) -> Arrays:
    names = {"scale": "weight", "bias": "bias"}
    return {f"{name}.{names[part]}": tables.array(a).copy() for part, a in params.items()}
