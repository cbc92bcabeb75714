"""Music: nats a frame by hand, baselines by a plain loop, the carry, samples and MIDI."""

import functools
import sys

import jax
import numpy as np
import pytest

from nets.biaxial import Biaxial
from nets.data import music_files
from nets.data.piano_rolls import PianoRolls, key_counts
from nets.errors import UserError
from nets.gru import GRU
from nets.lstm import LSTM
from nets.piano_roll import PianoRollRNN
from nets.tasks import metrics
from nets.tasks.next_notes import Midi, NextNotes
from nets.tasks.task import Trained

KEY = jax.random.key(0)
RNN = PianoRollRNN(cell=GRU(6))
BIAXIAL = Biaxial(time=LSTM(3), notes=LSTM(3), time_layers=1, note_layers=1)


def batch():
    rng = np.random.default_rng(0)
    roll = (rng.random((2, 7, 88)) < 0.1).astype(np.float32)
    mask = np.ones((2, 6), np.float32)
    mask[1, 4:] = 0
    reset = np.zeros((2, 6), bool)
    reset[:, 0] = True
    return {"inputs": roll[:, :-1], "targets": roll[:, 1:], "reset": reset, "mask": mask}


@functools.cache
def state(model):
    return jax.jit(lambda: NextNotes().init(model, KEY, batch()))()


def loss(model, given, carry=None, train=False):
    params, model_state = state(model)
    model_state = model_state if carry is None else {"carry": carry}
    call = functools.partial(NextNotes().loss, model, train=train)
    return jax.jit(call)(params, model_state, given, KEY)


@pytest.mark.parametrize("model", [RNN, BIAXIAL])
def test_the_loss_is_summed_over_the_keys_and_averaged_over_the_frames(model):
    given, params = batch(), state(model)[0]
    value, (_, sums) = loss(model, given)
    apply = jax.jit(functools.partial(model.apply, train=False))
    logits, _ = apply({"params": params}, given["inputs"], given["targets"])
    p = 1 / (1 + np.exp(-np.asarray(logits, np.float64)))
    total = hits = either = 0.0
    for b, t in np.argwhere(given["mask"] > 0):
        on = given["targets"][b, t] > 0
        total -= np.log(np.where(on, p[b, t], 1 - p[b, t])).sum()
        hits, either = hits + (on & (p[b, t] > 0.5)).sum(), either + (on | (p[b, t] > 0.5)).sum()
    assert float(sums["loss"][0]) == pytest.approx(total, rel=1e-5) and sums["loss"][1] == 10
    assert float(value) == pytest.approx(total / 10, rel=1e-5)
    assert (float(sums["accuracy"][0]), float(sums["accuracy"][1])) == (hits, either)


def test_the_carry_goes_on_from_segment_to_segment():
    given = batch()
    halves = [{k: v[:, part] for k, v in given.items()} for part in (slice(0, 3), slice(3, 6))]
    _, (first, one) = loss(RNN, halves[0])
    _, (_, two) = loss(RNN, halves[1], first["carry"])
    _, (_, whole) = loss(RNN, given)
    assert float(one["loss"][0] + two["loss"][0]) == pytest.approx(float(whole["loss"][0]))


def test_baselines_are_those_of_a_plain_loop():
    given = batch()
    rng = np.random.default_rng(3)
    metadata = {k: rng.uniform(0.1, 0.6, 88) for k in ("rates", "stays", "starts")}
    totals = metrics.add({}, jax.device_get(loss(RNN, given)[1][1]))
    values = NextNotes().finish(totals, metadata, None)
    independent = repeat = 0.0
    for b, t in np.argwhere(given["mask"] > 0):
        for key in range(88):
            before, after = given["inputs"][b, t, key], given["targets"][b, t, key]
            p, q = metadata["rates"][key], metadata["stays" if before else "starts"][key]
            independent -= np.log(p if after else 1 - p)
            repeat -= np.log(q if after else 1 - q)
    assert values["independent"] == pytest.approx(independent / 10)
    assert values["repeat"] == pytest.approx(repeat / 10)
    arrays = {k: given[k] * given["mask"][..., None] for k in ("inputs",)}
    rows = given["mask"].astype(bool)
    expected = key_counts(arrays["inputs"][rows], given["targets"][rows])
    np.testing.assert_array_equal(totals["counts"][0], expected)


def trained(model, beat=4):
    return Trained(model, state(model)[0], {}, {"frames_per_beat": beat}, None, None, KEY)


@pytest.mark.parametrize("model", [RNN, BIAXIAL])
def test_a_piece_goes_on_after_the_given_frames(model):
    task, given = NextNotes(samples=2), batch()["targets"][0]
    (roll,) = task.draw(trained(model), 9, 1.0, given)
    np.testing.assert_array_equal(roll[:6], given)
    assert roll.shape == (9, 88) and {*np.unique(roll)} <= {0, 1}
    assert task.draw(trained(model), 4, 1.0).shape == (2, 4, 88)


def test_figures_and_samples_are_written(tmp_path):
    pytest.importorskip("mido")
    task = NextNotes(length=20, given=4, samples=1)
    drawn = task.figures(trained(RNN), [batch()], {}, final=True)
    assert len(drawn["music"].panels) == 2 and drawn["music"].panels[1].given == 4
    assert drawn["music"].write(tmp_path, "music").stat().st_size > 1000
    result = task.sample(trained(RNN), [], 20, 1.0)
    assert result.summary == "1 pieces of 20 frames, 4 a beat"
    path = result.figures["music_0"].write(tmp_path, "music_0")
    roll = result.figures["music_0"].roll
    first = np.flatnonzero(roll.any(1))[0]
    last = np.flatnonzero(roll.any(1))[-1]
    read = music_files.read_midi(path, "sample", 4)
    np.testing.assert_array_equal(read, roll[first : last + 1])


def test_no_notes_are_no_mistake(tmp_path):
    pytest.importorskip("mido")
    path = Midi("silence", np.zeros((5, 88)), 4).write(tmp_path, "silence")
    assert len(music_files.read_midi(path, "silence", 4)) == 0


def test_sampling_is_refused_without_mido_and_with_top_k(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="^top_k is for language models, got 3"):
        NextNotes().sample(trained(RNN), [], 20, 1.0, top_k=3)
    monkeypatch.setitem(sys.modules, "mido", None)
    with pytest.raises(UserError, match=r"a MIDI file needs mido: .*\[music\]"):
        Midi("a", np.zeros((5, 88)), 4).write(tmp_path, "a")


def test_what_the_data_gives_the_task_takes():
    data = PianoRolls(length=8, batch_size=3, eval_batch_size=2)
    given = data.evaluate("test")[0]
    params, model_state = jax.eval_shape(lambda: NextNotes().init(RNN, KEY, given))
    assert jax.tree.leaves(model_state["carry"])[0].shape == (2, 6)
    call = functools.partial(NextNotes().loss, RNN, train=False)
    value, _ = jax.eval_shape(call, params, model_state, given, KEY)
    assert value.shape == ()


@pytest.mark.parametrize("field", ["length", "samples", "given"])
def test_impossible_values_are_refused(field):
    with pytest.raises(UserError, match=f"{field} must be at least 1, got 0"):
        NextNotes(**{field: 0})
