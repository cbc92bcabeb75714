"""Tagging of words against a twin in torch, on the same cores.

    python tests/benchmarks/sequences_text.py [--repetitions=7]

A training step of the tagger that the experiments train, on 32 sentences of like length, 20 or 40
words at most, against the same layers of torch.nn with packed sequences; both have the same weights
and, without dropout, the same loss. Every figure is the median of interleaved repetitions in one
process. Run it on an idle machine; it needs torch.
"""

import argparse
import functools

parser = argparse.ArgumentParser()
parser.add_argument("--repetitions", type=int, default=7)
options = parser.parse_args()

from nets.cli import process  # noqa: E402

process.tune()

import jax  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402
import torch  # noqa: E402
from timing import interleaved, show  # noqa: E402

from nets.interop.torch import recurrent_to_torch  # noqa: E402
from nets.lstm import LSTM  # noqa: E402
from nets.tagger import Tagger  # noqa: E402
from nets.tasks.tag_words import TagWords  # noqa: E402

BATCH, LETTERS, WORDS, CHARACTERS, TAGS = 32, 16, 9000, 110, 17
FIELDS = {
    "num_classes": TAGS,
    "vocab_size": WORDS,
    "num_characters": CHARACTERS,
    "cell": LSTM(100),
}


class Twin(torch.nn.Module):
    """The tagger with an LSTM over characters, its sequences packed."""

    def __init__(self, dropout):
        super().__init__()
        both = {"bidirectional": True, "batch_first": True}
        self.words = torch.nn.Embedding(WORDS, 100)
        self.letters = torch.nn.Embedding(CHARACTERS, 25)
        self.character_lstm = torch.nn.LSTM(25, 25, **both)
        self.recurrent = torch.nn.LSTM(150, 100, **both)
        self.output = torch.nn.Linear(200, TAGS)
        self.drop = torch.nn.Dropout(dropout)

    def load(self, params):
        """Takes the weights of the tagger."""
        state = {}
        for name in ("words", "letters"):
            state[f"{name}.weight"] = params[name]["embedding"]
        for name, size in (("character_lstm", 25), ("recurrent", 100)):
            state |= recurrent_to_torch(params[name], LSTM(size), prefix=f"{name}.")
        state["output.weight"] = np.asarray(params["output"]["kernel"]).T
        state["output.bias"] = params["output"]["bias"]
        self.load_state_dict({name: torch.tensor(np.array(a)) for name, a in state.items()})

    def forward(self, inputs, characters, lengths, letters):
        pack = functools.partial(
            torch.nn.utils.rnn.pack_padded_sequence, batch_first=True, enforce_sorted=False
        )
        real = inputs > 0
        x = self.letters(characters[real])  # [N, C, E], of real words alone
        _, (h, _) = self.character_lstm(pack(x, letters[real]))
        of_letters = torch.zeros(*inputs.shape, 50)
        of_letters[real] = torch.cat([h[0], h[1]], -1)
        x = self.drop(torch.cat([self.words(inputs), of_letters], -1))
        y, _ = self.recurrent(pack(x, lengths))
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, True, total_length=inputs.shape[1])
        return self.output(self.drop(y))


def sentences(length):
    """A batch of sentences of half of `length` words or more, of 1 to 12 letters."""
    rng = np.random.default_rng(length)
    lengths = rng.integers(length // 2, length + 1, BATCH)
    mask = np.arange(length) < lengths[:, None]
    letters = rng.integers(1, 13, (BATCH, length)) * mask
    inputs = rng.integers(1, WORDS, (BATCH, length)) * mask
    characters = rng.integers(1, CHARACTERS, (BATCH, length, LETTERS))
    characters *= np.arange(LETTERS) < letters[..., None]
    targets = rng.integers(0, TAGS, (BATCH, length)) * mask
    batch = {"inputs": inputs, "characters": characters, "targets": targets}
    batch = {name: a.astype(np.int32) for name, a in batch.items()}
    return batch | {"mask": mask.astype(np.float32)}, lengths, letters


def tagging(length):
    batch, lengths, letters = sentences(length)
    model, task, key = Tagger(**FIELDS), TagWords(), jax.random.key(0)
    params, _ = jax.jit(functools.partial(task.init, model))(key, batch)
    still = jax.jit(lambda p, b: task.loss(model, p, {}, b, key, train=False)[0])
    tensors = {name: torch.tensor(a).long() for name, a in batch.items() if name != "mask"}
    arguments = (tensors["inputs"], tensors["characters"], *map(torch.tensor, (lengths, letters)))
    net, real = Twin(0.5), tensors["inputs"] > 0
    net.load(params)
    assert sum(p.size for p in jax.tree.leaves(params)) == sum(
        p.numel() - (p.numel() if "bias_hh" in name else 0) for name, p in net.named_parameters()
    )

    def their_loss():
        logits = net(*arguments)[real]
        return torch.nn.functional.cross_entropy(logits, tensors["targets"][real])

    net.eval()
    np.testing.assert_allclose(still(params, batch), their_loss().item(), rtol=1e-4)
    net.train()
    adam, theirs = optax.adam(1e-3), torch.optim.Adam(net.parameters(), 1e-3)
    state, batch = [params, adam.init(params)], jax.device_put(batch)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params, opt_state, batch):
        loss = functools.partial(task.loss, model, train=True)
        grads, _ = jax.grad(loss, has_aux=True)(params, {}, batch, key)
        updates, opt_state = adam.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state

    def ours():
        state[:] = step(*state, batch)
        jax.block_until_ready(state)

    def twin():
        theirs.zero_grad()
        their_loss().backward()
        theirs.step()

    times = interleaved({"ours": ours, "torch": twin}, options.repetitions)
    words = int(lengths.sum())
    name = f"tagging, training step of {BATCH} sentences of {length} words at most, ms"
    show(name, times, f"; {words / times['ours']:,.0f} words/s")


if __name__ == "__main__":
    torch.manual_seed(0)
    for length in (20, 40):
        tagging(length)
