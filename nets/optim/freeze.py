"""Parameters that stay as they are: no gradient, no update, and modules that run as evaluated."""

import contextlib
from typing import Any

import flax.linen as nn
import jax
from jax import lax

from nets.optim.paths import flatten


def stop_gradients(params: Any, frozen: Any) -> Any:
    """The parameters, with no gradient for those that are frozen."""
    return jax.tree.map(lambda p, still: lax.stop_gradient(p) if still else p, params, frozen)


def restored(new: Any, old: Any, frozen: Any) -> Any:
    """The new parameters, but the old where they are frozen, to the bit."""
    return jax.tree.map(lambda n, o, still: o if still else n, new, old, frozen)


def frozen_modules(frozen: Any) -> set[tuple[str, ...]]:
    """The paths of modules all of whose parameters are frozen, of a tree of booleans."""
    still, trained = set(), set()
    for path, leaf in flatten(frozen).items():
        parts = tuple(path.split("/"))
        (still if leaf else trained).update(parts[:n] for n in range(len(parts)))
    return still - trained


def as_evaluated(frozen: Any) -> contextlib.AbstractContextManager:
    """Has modules that are wholly frozen run as in an evaluation, also while training.

    Their batch normalisations use running statistics, which stay as they are, and their dropout
    drops nothing. A module knows it by its keyword `train`, and Flax's batch normalisation by
    itself, so that models need not know of it.
    """
    modules = frozen_modules(frozen)

    def intercept(call, args, kwargs, context):
        module = context.module
        if context.method_name != "__call__" or module.path not in modules:
            return call(*args, **kwargs)
        if isinstance(module, nn.BatchNorm) and not module.use_running_average:
            fixed = module.clone(use_running_average=True, parent=None, name=None)
            return fixed.apply(module.variables, *args)
        return call(*args, **(kwargs | {"train": False} if "train" in kwargs else kwargs))

    return nn.intercept_methods(intercept)
