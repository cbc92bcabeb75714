"""The training state: everything that goes from one step to the next."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from nets.optim import averages
from nets.optim.averages import NTASGD
from nets.optim.schedules import Plateau
from nets.train import sharding
from nets.train.experiment import Experiment, batch_struct
from nets.train.progress import Progress


class State(NamedTuple):
    """A pytree; `step` counts the updates done.

    `lr_scale` multiplies the learning rate (plateau schedule). `average_start` is the step from
    which on the mean of the parameters is taken, averages.NEVER until it is known.
    """

    step: jax.Array
    params: Any
    model_state: dict[str, Any]
    opt_state: optax.OptState
    average: Any  # None without an average
    lr_scale: jax.Array
    average_start: jax.Array | None = None  # None but for NTASGD


def make_init(experiment: Experiment) -> Callable[[], State]:
    """The function of no argument that builds the state of step 0."""
    batch = batch_struct(experiment.data)
    transformation = experiment.optimizer.build(experiment.steps)

    def init() -> State:
        zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), batch)
        key, _ = jax.random.split(jax.random.key(experiment.seed))
        params, model_state = experiment.task.init(experiment.model, key, zeros)
        average = None if experiment.average is None else averages.start(params)
        return State(
            step=jnp.zeros((), jnp.int32),
            params=params,
            model_state=model_state,
            opt_state=transformation.init(params),
            average=jax.tree.map(jnp.copy, average),
            lr_scale=jnp.ones(()),
            average_start=averages.start_step(experiment.average),
        )

    return init


def shardings(state: State, mesh: Mesh) -> State:
    """A sharding for every leaf: the recurrent carry by rows, all else replicated."""
    whole = jax.tree.map(lambda _: sharding.replicated(mesh), state)
    carry = {
        k: jax.tree.map(lambda _: sharding.rows(mesh), v)
        for k, v in state.model_state.items()
        if k == "carry"
    }
    return whole._replace(model_state=whole.model_state | carry)


def evaluated(state: State) -> Any:
    """The parameters that evaluations use: the average where there is one, in their own types."""
    if state.average is None:
        return state.params
    return jax.tree.map(lambda a, p: a.astype(p.dtype), state.average, state.params)


def after_evaluation(
    experiment: Experiment, state: State, progress: Progress, maximise: bool, mesh: Mesh
) -> State:
    """The state where an evaluation was the one at which the plateau schedule drops the learning
    rate, or at which the mean of the parameters begins."""
    changes = {}
    schedule, average = experiment.optimizer.schedule, experiment.average
    if isinstance(schedule, Plateau) and progress.evals_since_drop >= schedule.patience:
        progress.evals_since_drop = 0
        scale = sharding.fetch(state.lr_scale) * schedule.factor
        changes["lr_scale"] = np.asarray(scale, state.lr_scale.dtype)
    if isinstance(average, NTASGD) and average.begins(progress.values, maximise):
        start, step = sharding.fetch((state.average_start, state.step))
        changes["average_start"] = np.minimum(start, step)
    return state._replace(**sharding.put(changes, sharding.replicated(mesh)))
