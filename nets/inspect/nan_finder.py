"""Locates the first NaN or infinity of a step."""

from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from nets.layers.recurrent import Recurrent
from nets.layers.recurrent_bptt import StreamState
from nets.tasks.task import Task


def explain(
    task: Task, model: nn.Module, state: Any, batch: dict[str, Any], key: jax.Array, folder: Path
) -> str:
    """Says where update number `state.step` + 1 first was not finite; keeps its batch in `folder`.

    Args:
        task: that of the run.
        model: that of the run.
        state: the `nets.train.train_state.State` before the update, on the host, as the batch.
        batch: that of the update.
        key: the random key of the update.
        folder: the work directory.
    """
    path = folder / f"not-finite-{int(state.step) + 1}.npz"
    np.savez(path, **batch)
    where = first(task, model, state, batch, key) or "the backward pass, all before it is finite"
    return f"first in {where}; its batch is kept in {path}"


def first(
    task: Task, model: nn.Module, state: Any, batch: dict[str, Any], key: jax.Array
) -> str | None:
    """The first array of a step that is not finite: of the batch, the state, a layer or the loss.

    The forward pass is done again without compilation, so that each layer's output is seen. Only
    where a scan calls the layers that drop units are these others than in the step.
    """
    for name, x in batch.items():
        if _bad(x):
            return f"the batch's {name}, {_place(np.asarray(x))}"
    for kind, tree in (("parameter", state.params), ("state", state.model_state)):
        for path, x in jax.tree_util.tree_leaves_with_path(tree):
            if _bad(x):
                return f"the {kind} {jax.tree_util.keystr(path, simple=True, separator='/')}"
    watch = _Watch(len(next(iter(batch.values()))), _steps_before(state.model_state))
    with jax.disable_jit(), nn.intercept_methods(watch):
        loss, _ = task.loss(
            model,
            state.params,
            state.model_state,
            batch,
            key,
            train=True,
        )
    if watch.found is None and _bad(loss):
        return "the loss, all layers before it are finite"
    return watch.found


class _Watch:
    """Notes the first output of a layer that is not finite; an interceptor of module calls.

    Args:
        rows: sequences in the batch.
        before: time steps that are run before the batch's own.
    """

    def __init__(self, rows: int, before: int):
        self.found: str | None = None
        self._rows, self._before = rows, before
        self._steps: dict[tuple, int] = {}  # that each layer has been through
        self._scanned: set[tuple] = set()

    def __call__(self, call, args, kwargs, context):
        result, path = call(*args, **kwargs), context.module.path
        if context.method_name == "__call__":
            arrays = jax.tree.leaves(result)
        elif context.method_name == "direction" and isinstance(context.module, Recurrent):
            path, arrays = (*path, args[0]), [result[0].swapaxes(0, 1)]
        else:
            return result
        if any(isinstance(x, jax.core.Tracer) for x in arrays):
            self._scanned.add(path)  # a scan finds out its types first
        elif self.found is None:
            self._look(path, [self._in_time(path, np.asarray(x)) for x in arrays])
        return result

    def _look(self, path: tuple, arrays: list[np.ndarray]) -> None:
        start = self._steps.get(path, 0)
        bad = next((x for x in arrays if _bad(x)), None)
        if bad is not None:
            place = _place(bad, start - self._before)
            self.found = f"the output of {'/'.join(path) or 'the model'}, {place}"
        if arrays and arrays[0].ndim == 3:
            self._steps[path] = start + arrays[0].shape[1]

    def _in_time(self, path: tuple, x: np.ndarray) -> np.ndarray:
        """[B, D] of one step, or [B T, D], as [B, T, D]; others as they are."""
        several = x.ndim == 2 and len(x) > self._rows and len(x) % self._rows == 0
        one = x.ndim == 2 and len(x) == self._rows and path in self._scanned
        return x.reshape(self._rows, -1, x.shape[1]) if several or one else x


def _steps_before(model_state: dict[str, Any]) -> int:
    """The steps of a stream that are run again before those of a batch."""
    carry = model_state.get("carry")
    held = jax.tree.leaves(carry.xs) if isinstance(carry, StreamState) else []
    return held[0].shape[1] if held else 0


def _bad(x: Any) -> bool:
    x = np.asarray(x)
    return np.issubdtype(x.dtype, np.inexact) and not np.isfinite(x).all()


def _place(x: np.ndarray, start: int = 0) -> str:
    """The first row, or for [B, T, D] the first time step and its first row, not finite.

    Args:
        start: number of the first time step.
    """
    bad = ~np.isfinite(x)
    if bad.ndim == 3:
        step, row = np.argwhere(bad.any(-1).T)[0]
        before = " (before the batch's own)" if start + step < 0 else ""
        return f"time step {start + step} of row {row}{before}"
    return f"row {np.argwhere(bad)[0][0]}" if bad.ndim else "a number"
