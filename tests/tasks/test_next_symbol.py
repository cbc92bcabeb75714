"""The next symbol of whole sequences: pictures of where the network is unsure, and its memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.data.counting import Counting
from nets.data.tokenizers import Characters
from nets.lstm import LSTM
from nets.sequence import ManyToMany
from nets.stack_rnn import StackRNN
from nets.tasks import next_symbol_figures
from nets.tasks.next_symbol import NextSymbol
from nets.tasks.task import Trained
from nets.tasks.traces import traced

TASK, DATA = NextSymbol(), Counting(max_test_count=15, eval_size=15, eval_batch_size=10)


def trained(cell, layers=1):
    model = ManyToMany(3, cell, vocab_size=3, layers=layers)
    batch = DATA.train(0)[0]
    params, state = TASK.init(model, jax.random.key(0), batch)
    return Trained(
        model, params, state, DATA.metadata(), Characters((".", "a", "b")), None, jax.random.key(0)
    )


def test_a_trace_has_the_outputs_of_the_whole_and_the_last_memory():
    run = trained(StackRNN(4, stacks=2, size=5), layers=2)
    x = jnp.asarray(DATA.train(0)[0]["inputs"][:3])
    logits, traces = traced(run.model, run.params, run.model.initial_carry((3,)), x)
    whole, carry = run.model.apply({"params": run.params}, x, train=False)
    np.testing.assert_allclose(logits, whole, atol=1e-6)
    assert {*traces} == {f"{n}{i}" for n in ("push", "pop", "top") for i in ("", ", layer 1")}
    for name, last in run.model.traces(carry).items():
        assert traces[name].shape == (3, 41, 2)
        np.testing.assert_allclose(traces[name][:, -1], last, atol=1e-6)
    np.testing.assert_allclose(traces["push"] + traces["pop"], 1, atol=1e-6)


def test_pictures_of_a_run(tmp_path):
    run, batches = trained(StackRNN(4, stacks=2, size=5)), list(DATA.evaluate("test"))
    assert TASK.figures(run, batches, {}, final=False) == {}
    figures = TASK.figures(run, batches, {}, final=True)
    lengths, memory = figures["lengths"], figures["memory"]
    assert lengths.x.tolist() == [2 * n + 1 for n in range(1, 16)]
    rows = DATA.draw(np.random.default_rng(0), 15, "test")
    logits, _ = run.model.apply({"params": run.params}, rows["inputs"], train=False)
    shares = jax.nn.softmax(logits)
    for n in (1, 4, 15):  # by hand: from the second b to the end
        right = [shares[n - 1, t, rows["targets"][n - 1, t]] for t in range(n + 1, 2 * n + 1)]
        wrong = 1 - float(min(right))
        assert lengths.curves["largest"][n - 1] == pytest.approx(wrong, abs=1e-6)
    assert lengths.mark == ("longest in training", 41)
    maps = {part.label.split("\n")[0]: part.values for part in memory.maps}
    assert memory.maps[-1].limits == (-1, 1) and memory.maps[-1].names == ("1", "2")
    assert [*maps] == ["reads", "predicts", "pop", "push", "top"]
    assert "".join(memory.names) == ".aaaaaaaaaabbbbbbbbbb"  # the longest of the first batch
    assert maps["reads"].argmax(1).tolist() == [0] + [1] * 10 + [2] * 10
    np.testing.assert_allclose(maps["predicts"], shares[9, :21], atol=1e-6)
    assert memory.write(tmp_path, "x").stat().st_size > 1000


def test_a_network_without_a_memory_shows_what_it_predicts():
    run, batches = trained(LSTM(4)), list(DATA.evaluate("test"))
    figure = TASK.figures(run, batches, {}, final=True)["memory"]
    assert [part.label for part in figure.maps] == ["reads", "predicts"]


def test_the_sequence_that_is_drawn_can_be_read():
    assert next_symbol_figures.best_to_show(np.array([3, 25, 27, 121])) == 1
    assert next_symbol_figures.best_to_show(np.array([90, 50, 70])) == 1
