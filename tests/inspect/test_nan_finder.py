"""A step that is not finite is told with its layer and time step, and its batch is saved."""

import dataclasses
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.data.dataset import Batches
from nets.elman import Elman
from nets.inspect import nan_finder
from nets.recurrent_lm import RecurrentLM
from nets.sequence import ManyToMany, OneToMany
from nets.tasks.next_token import NextToken
from nets.tasks.sequence import Regress, TagSequence
from nets.train import loop, train_state
from nets.train.step import step_key
from tests.support import toys
from tests.train.test_loop import fit


class Poisoned(toys.Blobs):
    """Images of which one, in the batch of step 7, has a pixel that is no number."""

    def train(self, seed):
        def spoil(batch):
            image = batch["inputs"].copy()
            image[3, 0, 0, 0] = np.nan
            return batch | {"inputs": image}

        clean = super().train(seed)
        return Batches(lambda i: spoil(clean[i]) if i == 6 else clean[i])


def test_a_bad_batch_is_named_and_kept(tmp_path):
    experiment = toys.classifier(data=Poisoned(), debug_nans=True)
    with pytest.raises(loop.Diverged, match="at step 7") as e:
        fit(experiment, tmp_path)
    task, model, key = experiment.task, experiment.model, step_key(experiment.seed, 6)
    told = nan_finder.explain(task, model, e.value.state, e.value.batch, key, tmp_path)
    assert told.startswith("first in the batch's inputs, row 3")
    assert str(tmp_path / "not-finite-7.npz") in told
    with np.load(tmp_path / "not-finite-7.npz") as batch:
        assert np.argwhere(np.isnan(batch["inputs"])).tolist() == [[3, 0, 0, 0]]


def first_of(experiment, state, batch):
    key = step_key(experiment.seed, state.step)
    return nan_finder.first(experiment.task, experiment.model, state, batch, key)


def saturating(x):
    return x * x / (1 + x * x)  # infinity over infinity where x * x overflows


@pytest.mark.parametrize(("layer", "k2"), [(0, None), (1, None), (0, 20)])
def test_the_layer_and_time_step_are_named(layer, k2):
    """One symbol's embedding, or the first layer's answer to it, overflows in the next square.

    The time step is that of the batch, also where k2 - 12 steps before it are run again.
    """
    experiment = toys.language_model(task=NextToken(k2=k2))
    cells = Elman(16, activation=saturating if layer == 0 else lambda x: x)
    experiment = dataclasses.replace(experiment, model=RecurrentLM(6, cells, 8, 2, parent=None))
    batch = toys.batch(experiment)
    state = train_state.make_init(experiment)()
    size = 1e30 if layer == 0 else 1e38
    table = jnp.zeros((6, 8)).at[2].set(size)
    state.params["embedding"]["embedding"] = table
    if layer == 1:  # 8 inputs of 1e38 through weights of 1: more than float32 holds, after layer 0
        for name, weight in (("layer_0", 0.25), ("layer_1", 1.0)):
            own = state.params["recurrent"][name]
            own["kernel"] = jnp.full_like(own["kernel"], weight)
            own["recurrent_kernel"] *= 0
    step, row = np.argwhere(np.asarray(batch["inputs"]).T == 2)[0]
    expected = f"the output of recurrent/layer_{layer}, time step {step} of row {row}"
    assert first_of(experiment, state, batch) == expected


def first(model, task, batch, changes):
    """The place that is named for a model with these weights alone."""
    params, model_state = task.init(model, jax.random.key(0), batch)
    params = jax.tree.map(jnp.zeros_like, params)
    params["recurrent"]["layer_0"] |= changes
    state = SimpleNamespace(params=params, model_state=model_state, step=0)
    return nan_finder.first(task, model, state, batch, jax.random.key(0))


GROWING = Elman(3, activation=lambda x: x)  # a thousandfold at each step, from 1e30
GROWTH = {"recurrent_kernel": 1000 * jnp.eye(3)}


@pytest.mark.slow
def test_the_time_step_of_a_sequence_that_is_unfolded():
    model = OneToMany(length=6, outputs=2, cell=GROWING, vocab_size=4)
    batch = {"inputs": jnp.array([1, 3, 2, 2]), "targets": jnp.zeros((4, 6, 2))}
    kernel = jnp.zeros((4 + 2, 3)).at[2].set(1e30)
    named = first(model, Regress(), batch, GROWTH | {"kernel": kernel})
    assert named == "the output of recurrent/layer_0, time step 3 of row 2"


@pytest.mark.parametrize(("k1", "k2"), [(None, None), (2, 2), (2, 3)])
def test_the_time_step_where_back_propagation_is_truncated(k1, k2):
    inputs = jnp.zeros((4, 6, 1)).at[1, 2].set(1e30)
    batch = {"inputs": inputs, "targets": jnp.zeros((4, 6), jnp.int32)}
    model = ManyToMany(num_classes=2, cell=GROWING)
    named = first(model, TagSequence(k1=k1, k2=k2), batch, GROWTH | {"kernel": jnp.ones((1, 3))})
    assert named == "the output of recurrent/layer_0, time step 5 of row 1"


@pytest.mark.slow
def test_the_loss_where_all_layers_are_finite():
    experiment = toys.language_model()
    batch, state = toys.batch(experiment), train_state.make_init(experiment)()
    state.params["output"]["bias"] = jnp.array([3e38] + 5 * [-3e38])  # their distance overflows
    named = first_of(experiment, state, batch)
    assert named == "the loss; all layers are finite"


def test_a_parameter_the_state_or_the_backward_pass(tmp_path):
    experiment = toys.language_model()
    batch, state = toys.batch(experiment), train_state.make_init(experiment)()
    assert first_of(experiment, state, batch) is None
    carry = state.model_state["carry"]
    lost = jax.tree.map(lambda a: a.at[1].set(jnp.nan), carry.carry)
    bad = state._replace(model_state={"carry": carry._replace(carry=lost)})
    assert first_of(experiment, bad, batch) == "the state carry/carry/0/0/c"
    task, model, key = experiment.task, experiment.model, jax.random.key(0)
    told = nan_finder.explain(task, model, state, batch, key, tmp_path)
    assert told.startswith("first in the backward pass")
    state.params["output"]["bias"] = jnp.full(6, jnp.inf)
    assert first_of(experiment, state, batch) == "the parameter output/bias"
