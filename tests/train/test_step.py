"""One update: accumulation, averaging, precision, randomness."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.optim.optimizer import Optimizer
from nets.optim.rules import SGD, RMSpropTF
from nets.optim.schedules import Plateau, Step
from nets.train import train_state
from nets.train.step import gradient, make_train_step
from tests.support import toys


def start(experiment):
    return jax.jit(train_state.make_init(experiment))()


def close(a, b, **tolerance):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, **tolerance), a, b)


@pytest.mark.parametrize("parts", [2, 4])
@pytest.mark.parametrize("kind", ["classifier", "language_model"])
def test_accumulated_gradient_is_that_of_the_whole_batch(parts, kind):
    if kind == "classifier":
        experiment = toys.classifier(model=toys.BatchNormNet(normalise=False))
    else:
        experiment = toys.language_model()
        experiment = dataclasses.replace(experiment, model=experiment.model.clone(dropout=0.0))
    state, batch, key = start(experiment), toys.batch(experiment), jax.random.key(0)
    # rows of different weight: the parts' means are not to be averaged as equals
    shape = batch["targets"].shape if kind == "language_model" else batch["targets"].shape
    batch["mask"] = jnp.asarray(np.random.default_rng(0).random(shape) < 0.7, jnp.float32)

    def loss(*arguments):
        return experiment.task.loss(experiment.model, *arguments, train=True)

    whole = gradient(loss, 1, state.params, state.model_state, batch, key)
    split = gradient(loss, parts, state.params, state.model_state, batch, key)
    close(whole, split, rtol=2e-5, atol=2e-6)


def test_accumulation_sees_every_part_once():
    def loss(params, model_state, batch, key):
        each = params["w"] * batch["x"]
        carry = model_state["carry"] + batch["x"]
        sums = {"loss": (each.sum(), jnp.float32(len(batch["x"])))}
        return each.mean(), ({"carry": carry, "seen": model_state["seen"] + 1}, sums)

    state = {"carry": jnp.arange(6.0) * 100, "seen": jnp.zeros(())}
    batch = {"x": jnp.arange(6.0)}
    grads, state, metrics = gradient(loss, 3, {"w": 2.0}, state, batch, jax.random.key(0))
    assert grads["w"] == 2.5 and state["seen"] == 3 and metrics["loss"] == (30.0, 6.0)
    np.testing.assert_array_equal(state["carry"], np.arange(6) * 101)


def test_scale_multiplies_the_update():
    experiment = toys.classifier(optimizer=Optimizer(SGD(), 0.5))
    step, state, batch = make_train_step(experiment), start(experiment), toys.batch(experiment)
    moved = [step(state._replace(lr_scale=jnp.float32(s)), batch)[0].params for s in (1.0, 0.1)]
    full, tenth = (jax.tree.map(jnp.subtract, m, state.params) for m in moved)
    close(jax.tree.map(lambda x: 0.1 * x, full), tenth, rtol=1e-3, atol=1e-7)


def test_a_plateaus_drop_is_within_the_velocity_of_tensorflows_rmsprop():
    ends = []
    for schedule, scales in ((Step((1,), 0.1), (1.0, 1.0)), (Plateau(), (1.0, 0.1))):
        optimizer = Optimizer(RMSpropTF(), 0.05, schedule)
        experiment = toys.classifier(optimizer=optimizer)
        step, state = jax.jit(make_train_step(experiment)), start(experiment)
        for i, s in enumerate(scales):
            state, metrics = step(
                state._replace(lr_scale=jnp.float32(s)), toys.batch(experiment, i)
            )
        ends.append((state.params, state.opt_state[-1].trace, metrics["learning_rate"]))
    close(*ends, rtol=1e-5, atol=1e-6)


def test_bfloat16_computes_but_does_not_store():
    experiment = toys.classifier(model=toys.BatchNormNet(dtype=jnp.bfloat16))
    state, batch = start(experiment), toys.batch(experiment)
    variables = {"params": state.params, **state.model_state}
    logits, seen = experiment.model.apply(
        variables, batch["inputs"], train=False, mutable="intermediates"
    )
    assert seen["intermediates"]["hidden"][0].dtype == jnp.bfloat16 and logits.dtype == jnp.float32
    after, metrics = make_train_step(experiment)(state, batch)
    stored = jax.tree.leaves((after.params, after.opt_state, metrics["loss"]))
    floats = {x.dtype for x in stored if jnp.issubdtype(x.dtype, jnp.floating)}
    assert floats == {jnp.dtype("float32")}
    exact = make_train_step(toys.classifier())(state, batch)[1]["loss"][0]
    assert 0 < abs(metrics["loss"][0] - exact) < 0.05 * exact


def test_the_key_is_a_function_of_seed_and_step():
    experiment = toys.classifier(model=toys.BatchNormNet(dropout=0.5))
    state, batch = start(experiment), toys.batch(experiment)

    def loss(experiment, n):
        at = state._replace(step=jnp.int32(n))
        return float(make_train_step(experiment)(at, batch)[1]["loss"][0])

    assert loss(experiment, 3) == loss(experiment, 3)
    assert len({loss(experiment, n) for n in range(4)}) == 4
    assert loss(experiment, 3) != loss(dataclasses.replace(experiment, seed=1), 3)
