"""The surfaces kept while training against the parameters of those steps, computed apart."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.data.plane import Plane
from nets.demos.playground import Playground
from nets.errors import UserError
from nets.mlp import MLP
from nets.optim.optimizer import Optimizer
from nets.tasks.classify import Classify
from nets.tasks.metrics import add
from nets.tasks.task import Trained
from nets.train import train_state
from nets.train.experiment import Experiment
from nets.train.step import make_train_step

TASK = Playground(criterion="binary", snapshots=(0, 2, 3), resolution=5, extent=2.0)
DATA = Plane(kind="xor", eval_size=30)


def trained(task, steps):
    """The states after 0 to `steps` updates."""
    model = MLP(widths=(3, 2), num_classes=1, activation=jnp.tanh)
    experiment = Experiment(model, task, DATA, Optimizer(learning_rate=0.1), steps=steps)
    states, update = [train_state.make_init(experiment)()], jax.jit(make_train_step(experiment))
    for i in range(steps):
        states.append(update(states[-1], DATA.train(0)[i])[0])
    return model, states


def by_hand(params, x, y):
    """The hidden layers and the probability at one point, in NumPy."""
    h = np.array([x, y])
    hidden = []
    for name in ("hidden_0", "hidden_1"):
        h = np.tanh(h @ params[name]["kernel"] + params[name]["bias"])
        hidden.append(h)
    z = h @ params["output"]["kernel"] + params["output"]["bias"]
    return hidden, 1 / (1 + np.exp(-z[0]))


def test_the_surfaces_are_those_of_the_steps():
    model, states = trained(TASK, 4)
    surfaces = np.asarray(states[-1].model_state["surfaces"])
    axis = np.linspace(-2, 2, 5)
    for n, surface in zip((0, 2, 3), surfaces, strict=True):
        params = jax.device_get(states[n].params)
        expected = [[by_hand(params, x, y)[1] for x in axis] for y in axis]
        np.testing.assert_allclose(surface, expected, rtol=1e-4)
    assert not np.asarray(states[3].model_state["surfaces"][2]).any()  # not yet
    final = jax.device_get(states[-1].params)
    trained_ = Trained(model, final, states[-1].model_state, DATA.metadata(), None, None, None)
    batches, key = DATA.evaluate("test"), jax.random.key(0)
    state, metrics = TASK.test(model, final, states[-1].model_state, batches[0], key, True)
    assert state is states[-1].model_state
    figures = TASK.figures(trained_, batches, add({}, metrics), True)
    titles = [panel.title for panel in figures["surface"].panels]
    assert titles == ["0 updates", "2 updates", "3 updates", "4 updates"]
    assert len(figures["surface"].panels[0].points) == 30
    units = figures["units"].panels
    assert [unit.title for unit in units] == [
        *(f"hidden_0, unit {k}" for k in range(3)), *(f"hidden_1, unit {k}" for k in range(2))
    ]  # fmt: skip
    hidden, last = by_hand(final, -2.0, 1.0)
    drawn = [unit.values[3, 0] for unit in units]  # row y = 1, column x = -2
    np.testing.assert_allclose(drawn, np.concatenate(hidden), rtol=1e-4)
    assert figures["surface"].panels[-1].values[3, 0] == pytest.approx(last, rel=1e-4)


def test_a_perceptron_without_hidden_units_shows_its_surface_alone():
    model, batches = MLP(widths=(), num_classes=1), DATA.evaluate("test")
    params, state = TASK.init(model, jax.random.key(0), batches[0])
    _, metrics = TASK.test(model, params, state, batches[0], jax.random.key(0), True)
    trained_ = Trained(model, params, state, DATA.metadata(), None, None, None)
    figures = TASK.figures(trained_, batches, add({}, metrics), True)
    assert "surface" in figures and "units" not in figures


def test_it_learns_as_it_does_without_the_surfaces():
    _, states = trained(TASK, 3)
    _, plain = trained(Classify(criterion="binary"), 3)
    jax.tree.map(np.testing.assert_array_equal, states[-1].params, plain[-1].params)


def test_other_inputs_than_points_are_refused():
    batch = {"inputs": jnp.zeros((4, 3)), "targets": jnp.zeros(4, int)}
    with pytest.raises(UserError, match=r"points \[B, 2\] are needed, got \[4, 3\]"):
        TASK.init(MLP(num_classes=1), jax.random.key(0), batch)


@pytest.mark.parametrize("fields", [{"resolution": 1}, {"extent": 0.0}, {"snapshots": (-1,)}])
def test_planes_without_points_are_refused(fields):
    with pytest.raises(UserError, match=f"{next(iter(fields))} must be .*, got"):
        dataclasses.replace(TASK, **fields)
