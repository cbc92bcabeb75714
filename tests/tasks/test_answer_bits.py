"""Answers in bits: bits a sequence by hand, longer sizes apart, and the pictures of a machine."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.data.algorithms import Copy
from nets.errors import UserError
from nets.ntm import NTM, MemoryRNN
from nets.tasks.answer_bits import AnswerBits, trace
from nets.tasks.metrics import add
from nets.tasks.task import Trained

TASK = AnswerBits()


class Same(nn.Module):
    """Logits that are the inputs."""

    @nn.compact
    def __call__(self, inputs, *, train):
        return inputs, ()


def batch(group=(0, 0, 2, 0)):
    """Four sequences of two steps and two bits; the last only fills up."""
    rng = np.random.default_rng(0)
    mask = np.array([[1, 1], [0, 1], [1, 1], [0, 0]], np.float32)
    return {
        "inputs": jnp.asarray(rng.normal(size=(4, 2, 2)), jnp.float32),
        "targets": jnp.asarray(rng.integers(0, 2, (4, 2, 2)), jnp.float32),
        "mask": jnp.asarray(mask),
        "group": jnp.asarray(group, jnp.int32),
        "optimal": jnp.array([1.0, 3.0, 100.0, 100.0]),
    }


def by_hand(batch, rows):
    """Bits, wrong bits and whether all are right, of each row."""
    x, y, mask = (np.asarray(batch[k], np.float64) for k in ("inputs", "targets", "mask"))
    p = 1 / (1 + np.exp(-x))
    bits = -np.log2(np.where(y == 1, p, 1 - p)).sum(-1) * mask
    wrong = ((p > 0.5) != (y == 1)).sum(-1) * mask
    return bits.sum(1)[rows], wrong.sum(1)[rows]


def test_bits_a_sequence_are_summed_over_its_steps_and_longer_sizes_stand_apart():
    data = batch()
    _, (_, metrics) = TASK.loss(Same(), {}, {}, data, jax.random.key(0), train=False)
    values = TASK.finish(add({}, jax.device_get(metrics)), {"groups": ["a", "b"]}, None)
    bits, wrong = by_hand(data, [0, 1])
    assert values["loss"] == pytest.approx(bits.mean(), rel=1e-5)
    assert values["wrong_bits"] == pytest.approx(wrong.mean())
    assert values["exact_match"] == pytest.approx(np.mean(wrong == 0))
    assert values["optimal"] == pytest.approx(2)
    bits, wrong = by_hand(data, [2])
    assert values["loss_b"] == pytest.approx(bits[0], rel=1e-5)
    assert values["wrong_bits_b"] == pytest.approx(wrong[0])
    assert "loss_a" not in values


def test_the_loss_of_training_is_the_mean_of_its_sequences():
    data = batch(group=(0, 0, 0, 0))
    value, (_, metrics) = TASK.loss(Same(), {}, {}, data, jax.random.key(0), train=True)
    assert float(value) == pytest.approx(by_hand(data, [0, 1, 2])[0].mean(), rel=1e-5)
    assert {*metrics} == {"loss", "wrong_bits", "exact_match", "optimal"}


def test_another_number_of_outputs_is_refused():
    data = batch() | {"targets": jnp.zeros((4, 2, 3))}
    with pytest.raises(UserError, match="the model has 2 outputs, and the targets 3"):
        TASK.init(Same(), jax.random.key(0), data)


def test_a_trace_has_the_outputs_of_the_whole_and_the_pictures_show_every_size(tmp_path):
    data = Copy(width=2, max_length=2, longer_lengths=(5,), eval_size=3, longer_rows=2)
    model = MemoryRNN(3, NTM(5, slots=6, width=3))
    batches = list(data.evaluate("test"))
    params, _ = TASK.init(model, jax.random.key(0), batches[0])
    x = batches[1]["inputs"][:2]
    probabilities, heads = trace(model, params, x)
    logits, carry = model.apply({"params": params}, x, train=False)
    np.testing.assert_allclose(probabilities, jax.nn.sigmoid(logits), atol=1e-6)
    assert {*heads} == {"read 1", "write 1"}
    for name, weighting in heads.items():
        assert weighting.shape == (2, x.shape[1], 6)
        np.testing.assert_allclose(weighting[:, -1], model.traces(carry)[name], atol=1e-6)
    trained = Trained(model, params, {}, data.metadata(), None, None, jax.random.key(0))
    assert TASK.figures(trained, batches, {}, final=False) == {}
    figures = TASK.figures(trained, batches, {}, final=True)
    assert {*figures} == {"answers", "answers_length_5"}
    maps = {part.label: part.values for part in figures["answers_length_5"].maps}
    assert {*maps} >= {"inputs", "targets", "outputs", "read 1:\nslots", "write 1:\nslots"}
    assert maps["inputs"].shape == (13, 4) and maps["targets"].shape == (13, 3)
    assert not maps["outputs"][:7].any() and maps["outputs"][7:].all()
    path = dataclasses.replace(figures["answers"], title="x").write(tmp_path, "x")
    assert path.stat().st_size > 1000
