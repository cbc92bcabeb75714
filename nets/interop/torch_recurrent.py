"""Weights of torch's recurrent modules as parameters of `Recurrent`, and back."""

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
"""Fields that may have any value; those that are not here or `Cell`'s need their default."""


def recurrent_from_torch(
    state_dict: Mapping[str, Any], cell: Cell, *, prefix: str = ""
) -> dict[str, Arrays]:
    """Parameters with which `Recurrent(cell, layers, bidirectional)` computes what torch does.

    `Elman` is torch.nn.RNN (whose nonlinearity is not in a state dict), `LSTM` torch.nn.LSTM
    (`projection` its proj_size), `GRU` torch.nn.GRU (whose z keeps: with update_gate="replace" the
    signs of its weights are turned). Gates are in torch's order, i f g o and r z n. Where torch
    adds two biases there is one,

        bias = bias_ih + bias_hh

    but for the gate n of a GRU, where bias = bias_ih and recurrent_bias = bias_hh. Of a module
    with bias=False they are zeros.

    There are as many layers and directions as in the state dict; a `Recurrent` that has fewer
    takes no notice of the rest, because Flax does not complain of parameters that are not used.

    Args:
        state_dict: tensors or arrays by name. What is returned are copies, of the same types.
        cell: the cell of each layer and direction.
        prefix: what the recurrent module's names begin with, as in "encoder.rnn."; all other
            names are passed over.

    Returns:
        The cell's weights by layer: "layer_0", "layer_0_reverse", "layer_1" and so on.

    Raises:
        TypeError: an argument is of another kind, such as one in another's place.
        ValueError: torch has no such cell; or names are missing or unexpected, or shapes wrong: a
            table of all of them.
    """
    tables.check_state_dict("recurrent_from_torch(state_dict, cell)", state_dict)
    _refuse_unknown(cell)
    found = {
        name.removeprefix(prefix): tables.array(tensor)
        for name, tensor in state_dict.items()
        if name.startswith(prefix)
    }
    bias = any(name.startswith("bias_") for name in found)
    widths = _widths(cell, r"\w+_l(\d+)(_reverse)?", found, found.get("weight_ih_l0"), axis=1)
    expected = {
        f"{part}_l{place}": shape
        for place, width in widths.items()
        for part, shape in _torch_shapes(cell, width, bias).items()
    }
    _check(
        cell,
        {prefix + k: s for k, s in expected.items()},
        {prefix + k: a for k, a in found.items()},
    )
    return {
        f"layer_{place}": _layer_from_torch(
            cell, {part: found[f"{part}_l{place}"] for part in _torch_shapes(cell, None, bias)}
        )
        for place in widths
    }


def recurrent_to_torch(
    params: Mapping[str, Any], cell: Cell, *, prefix: str = "", bias: bool = True
) -> Arrays:
    """The state dict with which torch computes what `Recurrent` does: `recurrent_from_torch` back.

    bias_ih is `bias`; bias_hh is zero, but in the gate n of a GRU, where it is `recurrent_bias`.
    Torch joins its directions as merge="concat" does, and has nothing like `residual` and
    `lookahead`, of which parameters show nothing.

    Args:
        params: the parameters of `Recurrent`.
        cell: its cell.
        prefix: what the names are to begin with.
        bias: whether the module has biases; if not, they have to be zeros here.

    Returns:
        Copies, of the same types, by torch's names.

    Raises:
        TypeError: an argument is of another kind, such as one in another's place.
        ValueError: torch has no such cell; or names are missing or unexpected, or shapes wrong: a
            table of all of them; or with bias=False there are biases.
    """
    tables.check_mapping("recurrent_to_torch(params, cell)", "params", params)
    _refuse_unknown(cell)
    found = {name: tables.array(a) for name, a in tables.flat(params).items()}
    first = found.get("layer_0/kernel")
    widths = _widths(cell, r"layer_(\d+)(_reverse)?/.*", found, first, axis=0)
    expected = {
        f"layer_{place}/{part}": shape
        for place, width in widths.items()
        for part, shape in _shapes(cell, width).items()
    }
    _check(cell, expected, found)
    biases = [name for name in found if name.endswith("bias") and found[name].any()]
    if biases and not bias:
        raise ValueError(f"bias=False, but there are biases: {', '.join(biases)}")
    parts = _torch_shapes(cell, None, bias)
    state_dict = {}
    for place in widths:
        layer = {part: found[f"layer_{place}/{part}"] for part in _shapes(cell, None)}
        theirs = _layer_to_torch(cell, layer)
        state_dict |= {f"{prefix}{part}_l{place}": theirs[part] for part in parts}
    return state_dict


def _torch_shapes(cell: Cell, width: int | None, bias: bool) -> Shapes:
    """What torch has for one layer and direction with inputs of this width, in its order."""
    rows, size = _GATES[type(cell)] * cell.features, cell.output_features
    shapes = {"weight_ih": (rows, width), "weight_hh": (rows, size)}
    if bias:
        shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
    if _projected(cell):
        shapes["weight_hr"] = (size, cell.features)
    return shapes


def _shapes(cell: Cell, width: int | None) -> Shapes:
    """What the cell has for the same."""
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
    """The layer's arrays with z in the cell's convention, or in torch's, changed in place.

    One's z is the other's 1 - z where update_gate="replace", and sigmoid(-a) = 1 - sigmoid(a).
    """
    if isinstance(cell, GRU) and cell.update_gate == "replace":
        for part in "kernel", "recurrent_kernel", "bias":
            layer[part][..., cell.features : 2 * cell.features] *= -1
    return layer


def _projected(cell: Cell) -> bool:
    return isinstance(cell, LSTM) and cell.projection is not None


def _refuse_unknown(cell: Cell) -> None:
    """Raises TypeError for what is no cell, ValueError for one that torch has no module of."""
    check_cell(cell)
    kind = type(cell).__name__
    if type(cell) not in _GATES:
        raise ValueError(f"torch has no {kind}: Elman, LSTM and GRU are valid")
    free = _FREE | {field.name for field in dataclasses.fields(Cell)}
    for field in dataclasses.fields(cell):
        value = getattr(cell, field.name)
        if field.name not in free and value != field.default:
            raise ValueError(
                f"torch has no {kind} with {field.name}={value!r}: {field.default!r} is valid"
            )


def _widths(
    cell: Cell, pattern: str, names: Iterable[str], first: np.ndarray | None, axis: int
) -> dict[str, int | None]:
    """Width of the inputs by place ("0", "0_reverse", "1"), from the `names` that fit `pattern`.

    `first` is the first layer's kernel, whose `axis` goes over the inputs.
    """
    places = [match.groups() for match in (re.fullmatch(pattern, name) for name in names) if match]
    layers = 1 + max((int(layer) for layer, _ in places), default=0)
    ends = ("", "_reverse") if any(reverse for _, reverse in places) else ("",)
    width = first.shape[axis] if first is not None and first.ndim == 2 else None
    widths = {}
    for layer in range(layers):
        widths |= {f"{layer}{end}": width for end in ends}
        width = cell.output_features * len(ends)
    return widths


def _check(cell: Cell, expected: Shapes, found: Arrays, prefix: str = "") -> None:
    heading = f"these are not the weights of {type(cell).__name__}({cell.features}):"
    named = ({prefix + name: a for name, a in of.items()} for of in (expected, found))
    tables.check(heading, *named)
