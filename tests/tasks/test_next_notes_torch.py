"""Nats a frame against torch, computed as Bai et al. 2018 do: piece by piece."""

import jax
import numpy as np
import pytest
from scipy.io import savemat

from nets.data.piano_rolls import PianoRolls
from nets.lstm import LSTM
from nets.piano_roll import PianoRollRNN
from nets.tasks import metrics
from nets.tasks.next_notes import NextNotes

torch = pytest.importorskip("torch")


def test_a_splits_loss_is_that_of_a_loop_over_its_pieces_in_torch(tmp_path):
    """The convention of poly_music/music_test.py, with torch's LSTM and binary cross-entropy.

    Each piece also begins with a silent frame here, which is read and not counted.
    """
    rng, pieces = np.random.default_rng(0), []
    for length in (9, 4, 7):
        pieces.append((rng.random((length, 88)) < 0.1).astype(np.uint8))
    rows = np.empty((1, 3), object)
    rows[0] = [*pieces]
    names = ("traindata", "validdata", "testdata")
    savemat(tmp_path / "a.mat", dict.fromkeys(names, rows))
    data = PianoRolls(path=str(tmp_path / "a.mat"), length=5, batch_size=1, eval_batch_size=2)
    model, task = PianoRollRNN(cell=LSTM(6)), NextNotes()
    batches = [*data.evaluate("test")]
    params, state = task.init(model, jax.random.key(0), batches[0])
    totals = {}
    for batch in batches:
        state, sums = task.test(model, params, state, batch, jax.random.key(0), True)
        totals = metrics.add(totals, jax.device_get(sums))
    loss = task.finish(totals, data.metadata(), None)["loss"]

    weights = jax.tree.map(lambda a: torch.from_numpy(np.array(a)), params)
    layer, cell = torch.nn.LSTM(88, 6, batch_first=True), weights["recurrent"]["layer_0"]
    with torch.no_grad():
        layer.weight_ih_l0.copy_(cell["kernel"].T)
        layer.weight_hh_l0.copy_(cell["recurrent_kernel"].T)
        layer.bias_ih_l0.copy_(cell["bias"])
        layer.bias_hh_l0.zero_()
        total, count = 0.0, 0
        for piece in pieces:
            roll = torch.from_numpy(piece.astype(np.float32))
            x = torch.cat([torch.zeros(1, 88), roll[:-1]])
            h = layer(x[None])[0][0, 1:]
            logits = h @ weights["output"]["kernel"] + weights["output"]["bias"]
            bce = torch.nn.functional.binary_cross_entropy_with_logits
            total += float(bce(logits, roll[1:], reduction="sum"))
            count += len(logits)
    assert loss == pytest.approx(total / count, rel=1e-5)
