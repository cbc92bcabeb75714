"""Options that models pass on to their recurrent layers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.encoder_decoder import Seq2Seq
from nets.gru import GRU
from nets.lstm import LSTM
from nets.recurrent_lm import RecurrentLM
from nets.sequence import ManyToMany, ManyToOne, OneToMany

IDS = np.random.default_rng(0).integers(0, 5, (2, 6))
X = np.float32(np.random.default_rng(1).normal(size=(2, 6, 3)))


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        (RecurrentLM(5, LSTM(4)), (IDS,)),
        (ManyToOne(num_classes=2, cell=LSTM(4)), (X,)),
        (ManyToMany(num_classes=2, cell=LSTM(4)), (X,)),
        (OneToMany(length=3, outputs=2, cell=LSTM(4)), (X[:, 0],)),
        (Seq2Seq(num_classes=5, vocab_size=5, cell=LSTM(4)), (IDS, IDS)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_backend(model, inputs):
    """The fused scan has a backward pass of its own, and nothing else of these models has one."""
    params = jax.eval_shape(lambda: model.init(jax.random.key(0), *inputs, train=False))
    for backend in ("scan", "fused"):
        apply = functools.partial(model.clone(backend=backend).apply, train=False)
        assert ("custom_vjp" in str(jax.make_jaxpr(apply)(params, *inputs))) == (backend == "fused")


def test_residual_and_chunk_of_a_language_model():
    model = RecurrentLM(5, GRU(4), embed=4, layers=2)
    params = model.init(jax.random.key(0), IDS, train=False)

    def run(params, **fields):
        return model.clone(**fields).apply(params, IDS, train=False, stages=True)

    plain, residual = run(params)[2], run(params, residual=True)[2]
    added = plain["layer_0"] + plain["layer_1"]
    np.testing.assert_allclose(residual["layer_1"], added, rtol=1e-6, atol=1e-6)
    again = str(jax.make_jaxpr(lambda p: run(p, chunk=3)[0])(params))
    assert "remat" in again and "remat" not in str(jax.make_jaxpr(lambda p: run(p)[0])(params))


@pytest.mark.parametrize("cell", [LSTM(4), GRU(4)], ids=lambda cell: type(cell).__name__)
def test_a_sequence_of_no_steps_is_answered_with_the_bias(cell):
    model = ManyToOne(num_classes=2, cell=cell, layers=2)
    params = model.init(jax.random.key(0), X, train=False)
    params["params"]["output"]["bias"] = jnp.array([3.0, -1.0])
    answers = model.apply(params, X, lengths=jnp.array([0, 6]), train=False)
    np.testing.assert_array_equal(answers[0], [3, -1])
    assert np.abs(answers[1] - answers[0]).max() > 0.01
