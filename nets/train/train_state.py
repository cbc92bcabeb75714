"""The training state: everything that goes from one step to the next."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from nets.train import sharding as meshes
from nets.train.experiment import Experiment, batch_struct

NEVER = np.iinfo(np.int32).max


class State(NamedTuple):
    """A pytree; `step` counts the updates done.

    `lr_scale` multiplies the learning rate (plateau schedule). `average_start` is the step from
    which on the mean of the parameters is taken, NEVER until it is known.
    """

    step: jax.Array
    params: Any
    model_state: dict[str, Any]
    opt_state: optax.OptState
    average: Any  # None without --ema, --average_from and --average_after
    lr_scale: jax.Array
    average_start: jax.Array | None = None  # None without --average_after


def start_average(params: Any) -> Any:
    """The average before the first update: the parameters, in float32 or finer.

    A bfloat16 average would stand still: a step towards the parameters is less than its last bit.
    """
    return jax.tree.map(lambda p: p.astype(jnp.promote_types(p.dtype, jnp.float32)), params)


def evaluated(state: State) -> Any:
    """The parameters that evaluations use: the average where there is one, in their own types."""
    if state.average is None:
        return state.params
    return jax.tree.map(lambda a, p: a.astype(p.dtype), state.average, state.params)


def make_init(experiment: Experiment):
    """The function of no argument that builds the state of step 0."""
    batch = batch_struct(experiment.data)
    transformation = experiment.optimizer.build(experiment.steps)
    start = None if experiment.average_after is None else NEVER

    def init() -> State:
        zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), batch)
        key, _ = jax.random.split(jax.random.key(experiment.seed))
        params, model_state = experiment.task.init(experiment.model, key, zeros)
        return State(
            step=jnp.zeros((), jnp.int32),
            params=params,
            model_state=model_state,
            opt_state=transformation.init(params),
            average=jax.tree.map(jnp.copy, start_average(params))
            if experiment.averages()
            else None,
            lr_scale=jnp.ones(()),
            average_start=None if start is None else jnp.array(start, jnp.int32),
        )

    return init


def shardings(state: State, mesh: Mesh) -> State:
    """A sharding for every leaf: the recurrent carry by rows, all else replicated."""
    whole = jax.tree.map(lambda _: meshes.replicated(mesh), state)
    carry = {
        k: jax.tree.map(lambda _: meshes.rows(mesh), v)
        for k, v in state.model_state.items()
        if k == "carry"
    }
    return whole._replace(model_state=whole.model_state | carry)
