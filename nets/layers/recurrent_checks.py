"""Argument checks of recurrent layers, and the choice of their backend."""

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
    """Raises TypeError unless the object is an instance of a recurrent cell."""
    if isinstance(cell, Cell):
        return
    if isinstance(cell, type):
        example = f"; write {cell.__name__}(64)" if issubclass(cell, Cell) else ""
        description = f"the class {cell.__name__}{example}"
    elif isinstance(cell, int):
        description = f"{cell}; write LSTM({cell})"
    else:
        description = f"an object of type {type(cell).__name__}"
    raise TypeError(f"cell must be a recurrent cell such as LSTM(64), got {description}")


def check_fields(layer: Any) -> None:
    """Raises ValueError if a field of a `Recurrent` is out of its range, or excludes another."""
    check_at_least("cell.features", layer.cell.features, 1)
    for field, minimum in (("layers", 1), ("lookahead", 0), ("chunk", 1)):
        if (value := getattr(layer, field)) is not None:
            check_at_least(field, value, minimum)
    if layer.lookahead is not None and not layer.bidirectional:
        raise ValueError(f"lookahead needs bidirectional=True, got lookahead={layer.lookahead}")
    if layer.reverse and layer.bidirectional:
        raise ValueError("reverse needs bidirectional=False, got both True")
    check_choice("merge", layer.merge, Merge)
    check_choice("backend", layer.backend, Backend)
    if layer.merge == "none" and layer.layers > 1:
        raise ValueError(f"merge='none' needs layers=1, got layers={layer.layers}")
    for field in ("dropout", "recurrent_dropout"):
        check_probability(field, getattr(layer, field))
    for probability in layer.zoneout:
        check_probability("zoneout", probability)


def check_zoneout(zoneout: tuple[float, ...], cell: Any, carry: Any) -> None:
    """Raises ValueError unless zoneout has one probability for each entry of the carry."""
    if zoneout and len(zoneout) != len(carry):
        raise ValueError(
            f"zoneout must have one probability for each entry of the carry of "
            f"{type(cell).__name__}, {', '.join(carry._fields)}, got {zoneout}"
        )


def check_carry(carry: Sequence, layers: int, directions: int) -> None:
    """Raises ValueError unless the carry has one tuple per layer, with one entry per direction."""
    sizes = [len(layer) for layer in carry]
    if sizes != [directions] * layers:
        raise ValueError(
            f"the carry must have {layers} layers of {directions} directions, "
            f"got {len(sizes)} layers of {', '.join(map(str, sizes)) or 'no'} directions"
        )


def check_inputs(cell: Cell, x: Any, axes: str) -> None:
    """Checks that x has these axes, such as "B, T", followed by those of the cell.

    Raises:
        TypeError: x is not an array.
        ValueError: x has more or fewer axes.
    """
    axes = ", ".join([axes, *cell.input_axes])
    if not isinstance(x, jax.Array | np.ndarray):
        raise TypeError(f"x must be an array [{axes}], got an object of type {type(x).__name__}")
    if x.ndim != axes.count(",") + 1:
        raise ValueError(f"x must be [{axes}], got {x.dtype} of shape {list(x.shape)}")


def check_reset(reset: jax.Array, batch: int, steps: int) -> None:
    """Raises ValueError unless the mask of resets is [B] or [B, T]."""
    if reset.shape not in ((batch,), (batch, steps)):
        raise ValueError(
            f"reset must be [B] = [{batch}] or [B, T] = [{batch}, {steps}], "
            f"got shape {list(reset.shape)}"
        )


def check_lengths(lengths: jax.Array, batch: int, steps: int) -> None:
    """Raises ValueError unless lengths are integers [B] from 0 to `steps`, if not traced."""
    if lengths.shape != (batch,):
        raise ValueError(f"lengths must be [B] = [{batch}], got shape {list(lengths.shape)}")
    if not jnp.issubdtype(lengths.dtype, jnp.integer):
        raise ValueError(f"lengths must be integers, got {lengths.dtype}")
    if isinstance(lengths, jax.core.Tracer):
        return
    lengths = np.asarray(lengths)
    wrong = lengths[(lengths < 0) | (lengths > steps)]
    if wrong.size:
        raise ValueError(f"lengths must be from 0 to {steps}, the steps of x, got {wrong[0]}")


def refusals(layer: Any, resets: bool) -> dict[str, str | None]:
    """For each backend, why it does not support a `nets.layers.recurrent.Recurrent`, or None."""
    name = type(layer.cell).__name__
    reasons = (
        (jax.default_backend() != "gpu", "there is no GPU"),
        (not layer.cell.cudnn, f"cuDNN does not support this {name}"),
        (jnp.dtype(layer.dtype) != jnp.float32, "jax supports it for float32 only"),
        (bool(layer.zoneout), "it does not support zoneout"),
        (layer.chunk is not None, "it does not support chunk"),
        (layer.lookahead is not None, "it does not support lookahead"),
        (resets, "it does not support reset within the sequence"),
    )
    return {
        "cudnn": next((reason for holds, reason in reasons if holds), None),
        "fused": None if layer.cell.fusable else f"a step of {name} is more than one matmul with h",
        "scan": None,
    }


def select_backend(layer: Any, resets: bool) -> str:
    """The backend that runs a `nets.layers.recurrent.Recurrent`.

    Raises:
        ValueError: the backend of the layer does not support it.
    """
    reasons = layer.refusals(resets)
    if layer.backend == "auto":
        return next(name for name, reason in reasons.items() if reason is None)
    if reason := reasons[layer.backend]:
        raise ValueError(f"backend={layer.backend!r} does not support this layer: {reason}")
    return layer.backend
