"""A step that is not finite is told with its layer and time step, and its batch is kept."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from nets.char_lm import CharLM
from nets.elman import Elman
from nets.train import loop, nans
from nets.train import state as states
from tests import toys
from tests.train.test_loop import fit


class Poisoned(toys.Blobs):
    """Images of which one, in the batch of step 7, has a pixel that is no number."""

    def train(self, seed):
        def spoil(batch):
            image = batch["image"].copy()
            image[3, 0, 0, 0] = np.nan
            return batch | {"image": image}

        clean = super().train(seed)
        return clean.map_with_index(lambda i, batch: spoil(batch) if i == 6 else batch)


def test_a_bad_batch_is_named_and_kept(tmp_path):
    experiment = toys.classifier(data=Poisoned(), debug_nans=True)
    with pytest.raises(loop.Diverged, match=r"at step 7; first in the batch's image, row 3") as e:
        fit(experiment, tmp_path)
    kept = np.load(tmp_path / "not-finite-7.npz")
    assert str(tmp_path / "not-finite-7.npz") in str(e.value)
    assert np.argwhere(np.isnan(kept["image"])).tolist() == [[3, 0, 0, 0]]


def saturating(x):
    return x * x / (1 + x * x)  # infinity over infinity where x * x overflows


@pytest.mark.parametrize("layer", [0, 1])
def test_the_layer_and_time_step_are_named(tmp_path, layer):
    """One symbol's embedding, or the first layer's answer to it, overflows in the next square."""
    experiment = toys.language_model()
    cells = Elman(16, activation=saturating if layer == 0 else lambda x: x)
    experiment = dataclasses.replace(experiment, model=CharLM(6, cells, 8, 2, parent=None))
    batch = toys.batch(experiment)
    state = states.make_init(experiment)()
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
    assert nans.first(experiment, state, batch) == expected


def test_a_parameter_or_the_backward_pass(tmp_path):
    experiment = toys.language_model()
    batch, state = toys.batch(experiment), states.make_init(experiment)()
    assert nans.first(experiment, state, batch) is None
    assert nans.explain(experiment, state, batch, tmp_path).startswith("first in the backward pass")
    state.params["output"]["bias"] = jnp.full(6, jnp.inf)
    assert nans.first(experiment, state, batch) == "the parameter output/bias"
