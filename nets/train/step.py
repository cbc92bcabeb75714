"""The jitted functions of the engine: one update, and one batch of an evaluation."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from nets.errors import inside
from nets.optim import averages, freeze
from nets.tasks.metrics import Metrics
from nets.tasks.task import Batch
from nets.train import sharding
from nets.train.experiment import Experiment
from nets.train.train_state import State, shardings

STOP = "_stop"  # batch and metrics entry by which processes agree to stop (nets.train.signals)


def make_train_step(experiment: Experiment) -> Callable[[State, Batch], tuple[State, Metrics]]:
    """One update of a state by a batch, and its metrics.

    The random key is that of (seed, step), so a resumed run draws what an undisturbed one draws.
    """
    task, model = experiment.task, experiment.model
    transformation = experiment.optimizer.build(experiment.steps)
    learning_rate = experiment.optimizer.learning_rates(experiment.steps)

    def loss(params, model_state, batch, key):
        frozen = experiment.optimizer.frozen(params)
        with freeze.as_evaluated(frozen):
            params = freeze.stop_gradients(params, frozen)
            return task.loss(model, params, model_state, batch, key, train=True)

    def step(state: State, batch: Batch) -> tuple[State, Metrics]:
        batch = dict(batch)
        stop = batch.pop(STOP, None)
        key = step_key(experiment.seed, state.step)
        grads, model_state, metrics = gradient(
            loss, experiment.accumulate, state.params, state.model_state, batch, key
        )
        # flax's running statistics are initialised to float32, whatever they become
        model_state = jax.tree.map(lambda x, y: x.astype(y.dtype), model_state, state.model_state)
        metrics["grad_norm"] = (optax.tree.norm(grads), 1.0)
        metrics["learning_rate"] = (state.lr_scale * learning_rate(state.step), 1.0)
        updates, opt_state = transformation.update(
            grads, state.opt_state, state.params, lr_scale=state.lr_scale
        )
        params = optax.apply_updates(state.params, updates)
        params = freeze.restored(params, state.params, experiment.optimizer.frozen(params))
        average = averages.update(
            experiment.average, state.average, params, state.step + 1, state.average_start
        )
        if stop is not None:
            metrics[STOP] = (jnp.max(stop), 1.0)
        unchanged = {"lr_scale": state.lr_scale, "average_start": state.average_start}
        return State(state.step + 1, params, model_state, opt_state, average, **unchanged), metrics

    return step


def shapes(batch: Batch) -> tuple:
    """The shapes that key the cache of compiled steps."""
    return tuple((name, x.shape) for name, x in sorted(batch.items()))


def compile_step(
    experiment: Experiment, state: State, mesh: Mesh, batch: Batch
) -> Callable[[State, Batch], tuple[State, Metrics]]:
    """The update, compiled for batches of these shapes; it donates the state, except to debug."""
    rows = sharding.rows(mesh)
    batch = {
        name: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=rows) for name, x in batch.items()
    }
    if jax.process_count() > 1:
        batch[STOP] = jax.ShapeDtypeStruct((mesh.size,), np.int32, sharding=rows)
    where = (shardings(state, mesh), sharding.replicated(mesh))
    donated = () if experiment.debug_nans else 0
    update = jax.jit(make_train_step(experiment), donate_argnums=donated, out_shardings=where)
    with inside("task"):
        return update.lower(state, batch).compile()


def step_key(seed: int, step: jax.Array) -> jax.Array:
    """The random key of the update after `step` updates."""
    _, key = jax.random.split(jax.random.key(seed))
    return jax.random.fold_in(key, step)


def gradient(
    loss: Callable, parts: int, params: Any, model_state: dict, batch: Batch, key: jax.Array
) -> tuple[Any, dict, Metrics]:
    """The gradient of a batch, gathered over `parts` micro-batches where that is more than one.

    Micro-batches are weighted by the weight of their loss, so that the sum is the gradient of the
    unsplit batch (where rows do not meet: not so through batch normalisation). Part j holds rows
    j, j + parts, ...: every device keeps its own rows. The scan is unrolled on CPU, where the
    gradient of `lax.conv_general_dilated` is many times slower inside a loop.

    Returns:
        gradient, new model state, metrics summed over the parts.
    """
    differentiate = jax.grad(loss, has_aux=True)
    if parts == 1:
        grads, (model_state, metrics) = differentiate(params, model_state, batch, key)
        return grads, model_state, dict(metrics)

    def split(x):
        return jnp.moveaxis(x.reshape(x.shape[0] // parts, parts, *x.shape[1:]), 1, 0)

    def merge(x):
        return jnp.moveaxis(x, 0, 1).reshape(-1, *x.shape[2:])

    has_carry = "carry" in model_state
    carry = model_state["carry"] if has_carry else ()
    shared = {k: v for k, v in model_state.items() if k != "carry"}

    def micro(sums, part):
        grads, weight, shared = sums
        j, batch, carry = part
        state = shared | ({"carry": carry} if has_carry else {})
        g, (new, metrics) = differentiate(params, state, batch, jax.random.fold_in(key, j))
        w = metrics["loss"][1]
        grads = jax.tree.map(lambda a, b: a + (w * b).astype(a.dtype), grads, g)
        new = dict(new)
        carry = new.pop("carry") if has_carry else ()
        return (grads, weight + w, new), (carry, metrics)

    zeros = jax.tree.map(jnp.zeros_like, params)
    parts_of = (jnp.arange(parts), *jax.tree.map(split, (batch, carry)))
    (grads, weight, shared), (carry, metrics) = jax.lax.scan(
        micro,
        (zeros, jnp.zeros(()), shared),
        parts_of,
        unroll=jax.default_backend() == "cpu",
    )
    grads = jax.tree.map(lambda g: (g / weight).astype(g.dtype), grads)
    metrics = jax.tree.map(lambda m: m.sum(0), dict(metrics))
    model_state = shared | ({"carry": jax.tree.map(merge, carry)} if has_carry else {})
    return grads, model_state, metrics


def make_eval_step(experiment: Experiment, final: bool) -> Callable[..., tuple[dict, Metrics]]:
    """One batch of an evaluation: (params, model_state, batch) -> (model_state, metrics)."""
    task, model = experiment.task, experiment.model

    def step(params: Any, model_state: dict, batch: Batch) -> tuple[dict, Metrics]:
        batch = dict(batch)
        stop = batch.pop(STOP, None)
        key = jax.random.key(experiment.seed)
        model_state, metrics = task.test(model, params, model_state, batch, key, final)
        metrics = dict(metrics)
        if stop is not None:
            metrics[STOP] = (jnp.max(stop), 1.0)
        return model_state, metrics

    return step


def make_fresh_carry(experiment: Experiment) -> Callable[[Batch], Any]:
    """The carry that an evaluation begins with, for a batch of its shape."""

    def fresh(batch: Batch) -> Any:
        key = jax.random.key(experiment.seed)
        _, model_state = experiment.task.init(experiment.model, key, batch)
        return model_state["carry"]

    return fresh
