"""What a recurrent layer refuses before anything is computed, and the backend that it takes."""

from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from nets.layers.checks import check_at_least, check_choice, check_probability
from nets.layers.recurrent_cell import Cell

Merge = Literal["concat", "sum", "average", "none"]
Backend = Literal["auto", "scan", "fused", "cudnn"]


def check_cell(cell: Any) -> None:
    """Refuses what is not an instance of a recurrent cell.

    Raises:
        TypeError: it is a number of units, a class or another object.
    """
    if isinstance(cell, Cell):
        return
    if isinstance(cell, type):
        example = f"; write {cell.__name__}(64)" if issubclass(cell, Cell) else ""
        given = f"the class {cell.__name__}{example}"
    elif isinstance(cell, int):
        given = f"{cell}; write LSTM({cell})"
    else:
        given = f"an object of type {type(cell).__name__}"
    raise TypeError(f"cell must be a recurrent cell such as LSTM(64), got {given}")


def check_fields(layer: Any) -> None:
    """Refuses a `nets.layers.recurrent.Recurrent` whose fields cannot be.

    Raises:
        ValueError: a field is out of its range, or does not go with another.
    """
    for field, minimum in (("layers", 1), ("lookahead", 0), ("chunk", 1)):
        if (value := getattr(layer, field)) is not None:
            check_at_least(field, value, minimum)
    if layer.lookahead is not None and not layer.bidirectional:
        raise ValueError(f"lookahead={layer.lookahead} is for bidirectional=True")
    if layer.reverse and layer.bidirectional:
        raise ValueError("reverse=True is for one direction, not for bidirectional=True")
    check_choice("merge", layer.merge, Merge)
    check_choice("backend", layer.backend, Backend)
    if layer.merge == "none" and layer.layers > 1:
        raise ValueError(f"merge='none' is for one layer, not for layers={layer.layers}")
    for field in ("dropout", "recurrent_dropout"):
        check_probability(field, getattr(layer, field))
    for probability in layer.zoneout:
        check_probability("zoneout", probability)


def check_zoneout(zoneout: tuple[float, ...], cell: Any, carry: Any) -> None:
    """Refuses another number of probabilities than entries of the cell's carry.

    Raises:
        ValueError: their numbers differ.
    """
    if zoneout and len(zoneout) != len(carry):
        raise ValueError(
            f"zoneout={zoneout} is not one probability for each of "
            f"{', '.join(carry._fields)}, what {type(cell).__name__} carries"
        )


def check_carry(carry: Sequence, layers: int, directions: int) -> None:
    """Refuses a carry that is not one tuple a layer, of one entry a direction.

    Raises:
        ValueError: it has another number of layers, or one of them of directions.
    """
    given = [len(layer) for layer in carry]
    if given != [directions] * layers:
        raise ValueError(
            f"the carry has {len(given)} layers of {', '.join(map(str, given)) or 'no'} "
            f"directions, and layers={layers} of {directions} are needed"
        )


def check_inputs(cell: Cell, x: Any, axes: str) -> None:
    """Refuses inputs that have not these axes, such as "B, T", and then those of the cell.

    Raises:
        TypeError: x is no array.
        ValueError: x has more axes or fewer.
    """
    axes = ", ".join([axes, *cell.input_axes])
    if not isinstance(x, jax.Array | np.ndarray):
        raise TypeError(f"x must be an array [{axes}], got an object of type {type(x).__name__}")
    if x.ndim != axes.count(",") + 1:
        raise ValueError(f"x must be [{axes}], got {x.dtype} of shape {list(x.shape)}")


def check_reset(reset: jax.Array, batch: int, steps: int) -> None:
    """Refuses a mask of rows that is neither [B] nor [B, T].

    Raises:
        ValueError: it has another shape.
    """
    if reset.shape not in ((batch,), (batch, steps)):
        raise ValueError(
            f"reset must be [B] = [{batch}] or [B, T] = [{batch}, {steps}], "
            f"got shape {list(reset.shape)}"
        )


def check_lengths(lengths: jax.Array, batch: int, steps: int) -> None:
    """Refuses lengths that are not [B] integers from 0 to `steps`.

    Raises:
        ValueError: they have another shape or type or, where they are not traced, are out of that
            range.
    """
    if lengths.shape != (batch,):
        raise ValueError(f"lengths must be [B] = [{batch}], got shape {list(lengths.shape)}")
    if not jnp.issubdtype(lengths.dtype, jnp.integer):
        raise ValueError(f"lengths are {lengths.dtype}; integers are valid")
    if isinstance(lengths, jax.core.Tracer):
        return
    lengths = np.asarray(lengths)
    wrong = lengths[(lengths < 0) | (lengths > steps)]
    if wrong.size:
        raise ValueError(f"a length {wrong[0]} for x of {steps} steps: 0 to {steps} are valid")


def refusals(layer: Any, resets: bool) -> dict[str, str | None]:
    """For each backend, why it cannot run a `nets.layers.recurrent.Recurrent`, or None."""
    name = type(layer.cell).__name__
    whole = "a step is more than one matmul with h and arithmetic"
    reasons = (
        (jax.default_backend() != "gpu", "there is no GPU"),
        (not layer.cell.cudnn, f"cuDNN has no such {name}"),
        (jnp.dtype(layer.dtype) != jnp.float32, "jax has it for float32 only"),
        (bool(layer.zoneout), "it has no zoneout"),
        (layer.chunk is not None, "it cannot compute chunks again"),
        (layer.lookahead is not None, "it cannot look ahead"),
        (resets, "rows begin again within the sequence"),
    )
    return {
        "cudnn": next((reason for holds, reason in reasons if holds), None),
        "fused": None if layer.cell.fusable else f"{name}: {whole}",
        "scan": None,
    }


def backend(layer: Any, resets: bool) -> str:
    """The backend that runs a `nets.layers.recurrent.Recurrent`.

    Raises:
        ValueError: it demands one that cannot.
    """
    reasons = layer.refusals(resets)
    if layer.backend == "auto":
        return next(name for name, reason in reasons.items() if reason is None)
    if reason := reasons[layer.backend]:
        raise ValueError(f"backend={layer.backend!r} cannot run this layer: {reason}")
    return layer.backend
