"""Weights of torch's recurrent modules as parameters of `Recurrent`, and back."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from nets.elman import Elman
from nets.gru import GRU
from nets.layers.cell import Cell
from nets.lstm import LSTM

Arrays = dict[str, np.ndarray]
Shapes = dict[str, tuple[int | None, ...]]  # None: any size

_GATES = {Elman: 1, LSTM: 4, GRU: 3}
_FREE = {"features", "activation", "identity", "forget_bias", "chrono", "parent", "name"}
"""Fields whose value does not matter here: what weights start from, and what they do not show."""


def recurrent_from_torch(
    state_dict: Mapping[str, Any], cell: Cell, *, prefix: str = ""
) -> dict[str, Arrays]:
    """The parameters with which `Recurrent(cell, layers, bidirectional)` computes what torch does.

    torch.nn.RNN is `Elman` (the state dict does not hold its nonlinearity), torch.nn.LSTM `LSTM`,
    torch.nn.GRU `GRU`; gates are in torch's order, i f g o and r z n. Torch adds two biases:

        bias = bias_ih + bias_hh

    but in the gate n of a GRU, where bias = bias_ih and recurrent_bias = bias_hh. Biases that are
    not there (bias=False) become zeros. There are as many layers and directions as in the state
    dict; Flax leaves parameters unread that a smaller `Recurrent` does not ask for.

    Args:
        state_dict: tensors or arrays; what is returned are copies, of the same types.
        cell: the cell of each layer and direction.
        prefix: what the names of the recurrent module begin with, as "encoder.rnn."; all other
            names are passed over.

    Returns:
        The weights of the cell by layer: layer_0, layer_0_reverse, layer_1, ...

    Raises:
        ValueError: torch has no such cell; or a name is missing or unexpected or a shape wrong,
            with a table of all that are.
    """
    _refuse_unknown(cell)
    found = {k.removeprefix(prefix): _array(a) for k, a in state_dict.items() if k.startswith(prefix)}
    places = _places(r"\w+_l(\d+)(_reverse)?", found)
    parts = ["weight_ih", "weight_hh"]
    if any(name.startswith("bias") for name in found):
        parts += ["bias_ih", "bias_hh"]
    expected = {}
    for place, width in _widths(cell, places, found.get("weight_ih_l0"), axis=1).items():
        rows = _GATES[type(cell)] * cell.features
        shapes = [(rows, width), (rows, cell.output_features), (rows,), (rows,)]
        expected |= {f"{part}_l{place}": shape for part, shape in zip(parts, shapes)}
    _check(cell, prefix, expected, found)
    return {
        f"layer_{place}": _layer(cell, {part: found[f"{part}_l{place}"] for part in parts})
        for place in places
    }
