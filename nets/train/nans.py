"""Where a step first was not finite."""

from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from nets.layers.recurrent import Recurrent
from nets.train.experiment import Experiment
from nets.train.state import State
from nets.train.step import step_key


def explain(experiment: Experiment, state: State, batch: dict[str, Any], folder: Path) -> str:
    """Says where update number `state.step` + 1 first was not finite; keeps its batch in `folder`.

    Args:
        state: that before the update, on the host, as the batch.
    """
    path = folder / f"not-finite-{int(state.step) + 1}.npz"
    np.savez(path, **batch)
    where = first(experiment, state, batch) or "the backward pass, all before it is finite"
    return f"first in {where}; its batch is kept in {path}"


def first(experiment: Experiment, state: State, batch: dict[str, Any]) -> str | None:
    """The first array of a step that is not finite: of the batch, the parameters or a layer.

    The forward pass is done again without compilation, so that each layer's output is seen.
    """
    for name, x in batch.items():
        if _bad(x):
            return f"the batch's {name}, {_place(x)}"
    for path, x in jax.tree_util.tree_leaves_with_path(state.params):
        if _bad(x):
            return f"the parameter {jax.tree_util.keystr(path, simple=True, separator='/')}"
    found: list[str] = []

    def watch(call, args, kwargs, context):
        result, path = call(*args, **kwargs), context.module.path
        if context.method_name == "__call__":
            arrays = jax.tree.leaves(result)
        elif context.method_name == "direction" and isinstance(context.module, Recurrent):
            path, arrays = (*path, args[0]), [result[0].swapaxes(0, 1)]
        else:
            arrays = []
        bad = next((x for x in arrays if _bad(x)), None)
        if bad is not None and not found:
            found.append(f"the output of {'/'.join(path) or 'the model'}, {_place(bad)}")
        return result

    with nn.intercept_methods(watch):
        experiment.task.loss(
            experiment.model,
            state.params,
            state.model_state,
            batch,
            step_key(experiment.seed, state.step),
            train=True,
        )
    return found[0] if found else None


def _bad(x: Any) -> bool:
    x = np.asarray(x)
    return np.issubdtype(x.dtype, np.inexact) and not np.isfinite(x).all()


def _place(x: Any) -> str:
    """The first row, or for [B, T, D] the first time step and its first row, not finite."""
    bad = ~np.isfinite(np.asarray(x))
    if bad.ndim == 3:
        step, row = np.argwhere(bad.any(-1).T)[0]
        return f"time step {step} of row {row}"
    return f"row {np.argwhere(bad)[0][0]}" if bad.ndim else "a number"
