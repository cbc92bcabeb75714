"""The tagger against torch's layers with the same weights: logits of sentences of any length."""

import jax
import numpy as np
import pytest

from nets.interop.torch import recurrent_to_torch
from nets.lstm import LSTM
from nets.tagger import Tagger

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)
LENGTHS = (5, 3, 1)
WORDS = np.zeros((3, 5), int)
LETTERS = np.zeros((3, 5, 6), int)
for row, length in enumerate(LENGTHS):
    WORDS[row, :length] = RNG.integers(1, 9, length)
    for t in range(length):
        LETTERS[row, t, : 1 + (row + 2 * t) % 6] = RNG.integers(1, 7, 1 + (row + 2 * t) % 6)


def torch_lstm(params, features, width):
    lstm = torch.nn.LSTM(width, features, bidirectional=True, batch_first=True)
    state = recurrent_to_torch(params, LSTM(features))
    lstm.load_state_dict({name: torch.tensor(np.array(a)) for name, a in state.items()})
    return lstm


@pytest.mark.parametrize("characters", ["lstm", "cnn", "none"])
def test_logits_equal_torchs(characters):
    model = Tagger(
        num_classes=4, vocab_size=9, num_characters=7, characters=characters, embedding=5,
        character_embedding=3, character_features=4, cell=LSTM(6),
    )  # fmt: skip
    params = model.init(jax.random.key(0), WORDS, LETTERS, train=False)["params"]
    params = jax.tree.map(lambda a: a + 0.1 * RNG.normal(size=a.shape).astype(np.float32), params)
    logits = model.apply({"params": params}, WORDS, LETTERS, train=False)
    tensors = jax.tree.map(lambda a: torch.tensor(np.array(a)), params)
    width = 5 + 4 * (characters != "none")
    recurrent = torch_lstm(params["recurrent"], 6, width)
    for row, length in enumerate(LENGTHS):  # one sentence at a time, without padding
        features = tensors["words"]["embedding"][WORDS[row, :length]]
        if characters != "none":
            read = []
            for letters in LETTERS[row, :length]:
                x = tensors["letters"]["embedding"][letters[letters > 0]][None]
                if characters == "lstm":
                    lstm = torch_lstm(params["character_lstm"], 2, 3)
                    read.append(lstm(x)[1][0][:, 0].reshape(-1))
                else:
                    kernel = tensors["character_conv"]["kernel"].permute(2, 1, 0)
                    bias = tensors["character_conv"]["bias"]
                    y = torch.nn.functional.conv1d(x.mT, kernel, bias, padding=1)
                    read.append(y.relu().amax(-1)[0])
            features = torch.cat([features, torch.stack(read)], -1)
        h = recurrent(features[None])[0][0]
        theirs = h @ tensors["output"]["kernel"] + tensors["output"]["bias"]
        np.testing.assert_allclose(logits[row, :length], theirs.detach(), atol=1e-5)
