"""Locates the first NaN or infinity of a step."""

from collections.abc import Callable
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
    """Describes the first NaN or infinity of update `state.step` + 1, and saves its batch.

    Args:
        task: task of the run.
        model: model of the run.
        state: the `nets.train.train_state.State` before the update, on the host.
        batch: batch of the update, on the host.
        key: random key of the update.
        folder: the work directory.
    """
    path = folder / f"not-finite-{int(state.step) + 1}.npz"
    np.savez(path, **batch)
    where = first(task, model, state, batch, key) or "the backward pass; the forward pass is finite"
    return f"first in {where}; its batch is saved in {path}"


def first(
    task: Task, model: nn.Module, state: Any, batch: dict[str, Any], key: jax.Array
) -> str | None:
    """The first non-finite array of a step: in the batch, the state, a layer's output or the loss.

    The forward pass runs again without compilation, so that each layer's output can be read.
    Inside a scan, dropout may drop other units than in the step.
    """
    for name, x in batch.items():
        if _bad(x):
            return f"the batch's {name}, {_location(np.asarray(x))}"
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
    if watch.location is None and _bad(loss):
        return "the loss; all layers are finite"
    return watch.location


class _Watch:
    """An interceptor of module calls that records the first non-finite output of a layer.

    Args:
        rows: number of sequences in the batch.
        before: number of time steps that run before the batch's own.
    """

    def __init__(self, rows: int, before: int) -> None:
        self.location: str | None = None
        self._rows, self._before = rows, before
        self._steps: dict[tuple, int] = {}  # steps so far of each layer
        self._scanned: set[tuple] = set()

    def __call__(self, call: Callable, args: tuple, kwargs: dict, context: Any) -> Any:
        result, path = call(*args, **kwargs), context.module.path
        if context.method_name == "__call__":
            arrays = jax.tree.leaves(result)
        elif context.method_name == "direction" and isinstance(context.module, Recurrent):
            path, arrays = (*path, args[0]), [result[0].swapaxes(0, 1)]
        else:
            return result
        if any(isinstance(x, jax.core.Tracer) for x in arrays):
            self._scanned.add(path)  # a scan first traces its body
        elif self.location is None:
            self._check(path, [self._in_time(path, np.asarray(x)) for x in arrays])
        return result

    def _check(self, path: tuple, arrays: list[np.ndarray]) -> None:
        start = self._steps.get(path, 0)
        bad = next((x for x in arrays if _bad(x)), None)
        if bad is not None:
            location = _location(bad, start - self._before)
            self.location = f"the output of {'/'.join(path) or 'the model'}, {location}"
        if arrays and arrays[0].ndim == 3:
            self._steps[path] = start + arrays[0].shape[1]

    def _in_time(self, path: tuple, x: np.ndarray) -> np.ndarray:
        """[B, D] of one step, or [B T, D], as [B, T, D]; other arrays unchanged."""
        several = x.ndim == 2 and len(x) > self._rows and len(x) % self._rows == 0
        one = x.ndim == 2 and len(x) == self._rows and path in self._scanned
        return x.reshape(self._rows, -1, x.shape[1]) if several or one else x


def _steps_before(model_state: dict[str, Any]) -> int:
    """The number of earlier steps of a stream that run again before those of the batch."""
    carry = model_state.get("carry")
    earlier = jax.tree.leaves(carry.xs) if isinstance(carry, StreamState) else []
    return earlier[0].shape[1] if earlier else 0


def _bad(x: Any) -> bool:
    x = np.asarray(x)
    return np.issubdtype(x.dtype, np.inexact) and not np.isfinite(x).all()


def _location(x: np.ndarray, start: int = 0) -> str:
    """The position of the first non-finite value: its row, and for [B, T, D] its time step.

    Args:
        start: number of the first time step.
    """
    bad = ~np.isfinite(x)
    if bad.ndim == 3:
        step, row = np.argwhere(bad.any(-1).T)[0]
        before = " (before the batch's own)" if start + step < 0 else ""
        return f"time step {start + step} of row {row}{before}"
    return f"row {np.argwhere(bad)[0][0]}" if bad.ndim else "a number"
