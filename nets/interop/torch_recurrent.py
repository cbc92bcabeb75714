"""Conversion between weights of torch's recurrent modules and parameters of `Recurrent`."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from nets.elman import Elman
from nets.gru import GRU
from nets.interop import tables
from nets.interop.tables import Arrays, Shapes
from nets.layers.recurrent_cell import Cell
from nets.layers.recurrent_checks import check_cell
from nets.lstm import LSTM

_GATES = {Elman: 1, LSTM: 4, GRU: 3}
_FREE = {
    "activation", "identity", "kernel_std", "forget_bias", "chrono", "projection", "update_gate",
}  # fmt: skip
"""Fields that may have any value; all others, except `Cell`'s, must have their default."""


def recurrent_from_torch(
    state_dict: Mapping[str, Any], cell: Cell, *, prefix: str = ""
) -> dict[str, Arrays]:
    """Parameters with which `Recurrent(cell, layers, bidirectional)` equals torch's module.

    `Elman` is torch.nn.RNN (the state dict does not hold its nonlinearity), `LSTM` torch.nn.LSTM
    (`projection` is its proj_size), `GRU` torch.nn.GRU (with update_gate="replace" the weights of z
    change sign). Gates are in torch's order, i f g o and r z n. Torch's two biases are one here,

        bias = bias_ih + bias_hh

    except for gate n of a GRU, where bias = bias_ih and recurrent_bias = bias_hh. They are zeros
    for a module with bias=False.

    The result has all layers and directions of the state dict; a `Recurrent` with fewer ignores the
    rest, because Flax ignores unused parameters.

    Args:
        state_dict: tensors or arrays by name; they are copied, with the same dtypes.
        cell: the cell of each layer and direction.
        prefix: prefix of the recurrent module's names, such as "encoder.rnn."; other names are
            ignored.

    Returns:
        The cell's weights by layer: "layer_0", "layer_0_reverse", "layer_1" and so on.

    Raises:
        TypeError: an argument has the wrong type, for example because arguments are swapped.
        ValueError: torch has no such cell; or names are missing or unexpected, or shapes are wrong
            (the message is a table of all of them).
    """
    tables.check_state_dict("recurrent_from_torch(state_dict, cell)", state_dict)
    _refuse_unknown(cell)
    weights = {
        name.removeprefix(prefix): tables.array(tensor)
        for name, tensor in state_dict.items()
        if name.startswith(prefix)
    }
    bias = any(name.startswith("bias_") for name in weights)
    widths = _widths(cell, r"\w+_l(\d+)(_reverse)?", weights, weights.get("weight_ih_l0"), axis=1)
    expected = {
        f"{part}_l{level}": shape
        for level, width in widths.items()
        for part, shape in _torch_shapes(cell, width, bias).items()
    }
    _check(
        cell,
        {prefix + k: s for k, s in expected.items()},
        {prefix + k: a for k, a in weights.items()},
    )
    return {
        f"layer_{level}": _layer_from_torch(
            cell, {part: weights[f"{part}_l{level}"] for part in _torch_shapes(cell, None, bias)}
        )
        for level in widths
    }


def recurrent_to_torch(
    params: Mapping[str, Any], cell: Cell, *, prefix: str = "", bias: bool = True
) -> Arrays:
    """The state dict for torch's module; the inverse of `recurrent_from_torch`.

    bias_ih is `bias`; bias_hh is zero, except in gate n of a GRU, where it is `recurrent_bias`.
    Torch merges directions as merge="concat" does, and has no `residual` and no `lookahead`; the
    parameters do not show these fields.

    Args:
        params: the parameters of `Recurrent`.
        cell: its cell.
        prefix: prefix of the names in the state dict.
        bias: whether torch's module has biases. If not, the biases in `params` must be zero.

    Returns:
        Copies of the same dtypes, by torch's names.

    Raises:
        TypeError: an argument has the wrong type, for example because arguments are swapped.
        ValueError: torch has no such cell; or names are missing or unexpected, or shapes are wrong
            (the message is a table of all of them); or a bias is not zero with bias=False.
    """
    tables.check_mapping("recurrent_to_torch(params, cell)", "params", params)
    _refuse_unknown(cell)
    weights = {name: tables.array(a) for name, a in tables.flat(params).items()}
    first = weights.get("layer_0/kernel")
    widths = _widths(cell, r"layer_(\d+)(_reverse)?/.*", weights, first, axis=0)
    expected = {
        f"layer_{level}/{part}": shape
        for level, width in widths.items()
        for part, shape in _shapes(cell, width).items()
    }
    _check(cell, expected, weights)
    biases = [name for name in weights if name.endswith("bias") and weights[name].any()]
    if biases and not bias:
        raise ValueError(f"biases must be zero with bias=False, got {', '.join(biases)}")
    parts = _torch_shapes(cell, None, bias)
    state_dict = {}
    for level in widths:
        layer = {part: weights[f"layer_{level}/{part}"] for part in _shapes(cell, None)}
        theirs = _layer_to_torch(cell, layer)
        state_dict |= {f"{prefix}{part}_l{level}": theirs[part] for part in parts}
    return state_dict


def _torch_shapes(cell: Cell, width: int | None, bias: bool) -> Shapes:
    """Torch's shapes for one layer and direction with inputs of this width, in torch's order."""
    rows, size = _GATES[type(cell)] * cell.features, cell.output_features
    shapes = {"weight_ih": (rows, width), "weight_hh": (rows, size)}
    if bias:
        shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
    if _projected(cell):
        shapes["weight_hr"] = (size, cell.features)
    return shapes


def _shapes(cell: Cell, width: int | None) -> Shapes:
    """The cell's shapes for one layer and direction with inputs of this width."""
    columns, size = _GATES[type(cell)] * cell.features, cell.output_features
    shapes = {"kernel": (width, columns), "recurrent_kernel": (size, columns), "bias": (columns,)}
    if isinstance(cell, GRU):
        shapes["recurrent_bias"] = (cell.features,)
    if _projected(cell):
        shapes["projection"] = (cell.features, size)
    return shapes


def _layer_from_torch(cell: Cell, theirs: Arrays) -> Arrays:
    layer = {
        "kernel": theirs["weight_ih"].T.copy(),
        "recurrent_kernel": theirs["weight_hh"].T.copy(),
    }
    rows, dtype = layer["kernel"].shape[1], layer["kernel"].dtype
    ih, hh = (theirs.get(part, np.zeros(rows, dtype)) for part in ("bias_ih", "bias_hh"))
    layer["bias"] = ih + hh
    if isinstance(cell, GRU):
        at = 2 * cell.features
        layer["bias"][at:] = ih[at:]
        layer["recurrent_bias"] = hh[at:].copy()
    if _projected(cell):
        layer["projection"] = theirs["weight_hr"].T.copy()
    return _update_gate(cell, layer)


def _layer_to_torch(cell: Cell, layer: Arrays) -> Arrays:
    layer = _update_gate(cell, {part: a.copy() for part, a in layer.items()})
    theirs = {
        "weight_ih": layer["kernel"].T.copy(),
        "weight_hh": layer["recurrent_kernel"].T.copy(),
        "bias_ih": layer["bias"],
        "bias_hh": np.zeros_like(layer["bias"]),
    }
    if isinstance(cell, GRU):
        theirs["bias_hh"][2 * cell.features :] = layer["recurrent_bias"]
    if _projected(cell):
        theirs["weight_hr"] = layer["projection"].T.copy()
    return theirs


def _update_gate(cell: Cell, layer: Arrays) -> Arrays:
    """Converts z between the cell's convention and torch's, in level.

    With update_gate="replace" one's z is the other's 1 - z, and sigmoid(-a) = 1 - sigmoid(a).
    """
    if isinstance(cell, GRU) and cell.update_gate == "replace":
        for part in "kernel", "recurrent_kernel", "bias":
            layer[part][..., cell.features : 2 * cell.features] *= -1
    return layer


def _projected(cell: Cell) -> bool:
    return isinstance(cell, LSTM) and cell.projection is not None


def _refuse_unknown(cell: Cell) -> None:
    """Raises TypeError if it is not a cell, ValueError if torch has no such module."""
    check_cell(cell)
    kind = type(cell).__name__
    if type(cell) not in _GATES:
        raise ValueError(f"cell must be one of Elman, LSTM, GRU, got {kind}")
    free = _FREE | {field.name for field in dataclasses.fields(Cell)}
    for field in dataclasses.fields(cell):
        value = getattr(cell, field.name)
        if field.name not in free and value != field.default:
            raise ValueError(
                f"{kind}.{field.name} must be {field.default!r} as in torch, got {value!r}"
            )


def _widths(
    cell: Cell, pattern: str, names: Iterable[str], first: np.ndarray | None, axis: int
) -> dict[str, int | None]:
    """Width of the inputs by layer and direction ("0", "0_reverse").

    `names` that fit `pattern` show which there are.

    `first` is the first layer's kernel, whose axis `axis` is that of the inputs.
    """
    levels = [match.groups() for match in (re.fullmatch(pattern, name) for name in names) if match]
    layers = 1 + max((int(layer) for layer, _ in levels), default=0)
    ends = ("", "_reverse") if any(reverse for _, reverse in levels) else ("",)
    width = first.shape[axis] if first is not None and first.ndim == 2 else None
    widths = {}
    for layer in range(layers):
        widths |= {f"{layer}{end}": width for end in ends}
        width = cell.output_features * len(ends)
    return widths


def _check(cell: Cell, expected: Shapes, arrays: Arrays, prefix: str = "") -> None:
    heading = f"these are not the weights of {type(cell).__name__}({cell.features}):"
    named = ({prefix + name: a for name, a in of.items()} for of in (expected, arrays))
    tables.check(heading, *named)
