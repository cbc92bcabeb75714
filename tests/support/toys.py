"""Small experiments that tests train in seconds."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from nets.data.dataset import Batches, Dataset, Spec
from nets.data.tokenizers import Characters
from nets.lstm import LSTM
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Momentum
from nets.recurrent_lm import RecurrentLM
from nets.tasks.classify import Classify
from nets.tasks.next_token import NextToken
from nets.train.experiment import Experiment


class BatchNormNet(nn.Module):
    """Dense, batch normalisation, dropout, dense."""

    num_classes: int | None = 3
    dropout: float = 0.0
    normalise: bool = True
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x, *, train, stages=False):
        kinds = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        x = nn.Dense(16, **kinds)(x.reshape(x.shape[0], -1))
        if self.normalise:
            x = nn.BatchNorm(use_running_average=not train, momentum=0.9, **kinds)(x)
        x = nn.Dropout(self.dropout, deterministic=not train)(nn.tanh(x))
        self.sow("intermediates", "hidden", x)
        return nn.Dense(self.num_classes, **kinds)(x).astype(
            jnp.promote_types(jnp.float32, x.dtype)
        )


@dataclasses.dataclass(frozen=True)
class Blobs(Dataset):
    """Three Gaussian blobs of 4x4 one-channel images; a pure function of (seed, step)."""

    batch_size: int = 16
    eval_batch_size: int = 16
    examples: int = 40

    def _batch(self, seed, i, n):
        rng = np.random.default_rng((seed, i))
        label = rng.integers(0, 3, n).astype(np.int32)
        image = rng.normal(size=(n, 4, 4, 1)) + label[:, None, None, None] - 1
        return {"inputs": image.astype(np.float32), "targets": label}

    def train(self, seed):
        return Batches(lambda i: self._batch(seed, i, self.batch_size))

    def evaluate(self, split):
        def batch(i):
            real = np.arange(self.eval_batch_size) + i * self.eval_batch_size < self.examples
            batch = self._batch(77 if split == "test" else 78, i, self.eval_batch_size)
            return batch | {"mask": real.astype(np.float32)}

        return Batches(batch, -(-self.examples // self.eval_batch_size))

    def splits(self):
        return ("validation", "test")

    def spec(self):
        inputs = (self.batch_size, 4, 4, 1), np.dtype(np.float32)
        return Spec({"inputs": inputs, "targets": ((self.batch_size,), np.dtype(np.int32))})

    def metadata(self):
        return {"num_classes": 3, "class_names": ["a", "b", "c"], "digest": "blobs"}


@dataclasses.dataclass(frozen=True)
class Cycle(Dataset):
    """Streams of a noisy cycle over six symbols, cut into segments."""

    batch_size: int = 8
    eval_batch_size: int = 8
    length: int = 12
    segments: int = 10

    def _batch(self, seed, i):
        epoch, segment = divmod(int(i), self.segments)
        rng = np.random.default_rng((seed, epoch))
        total = self.segments * self.length + 1
        steps = rng.choice([1, 1, 1, 2], (self.batch_size, total))
        ids = np.cumsum(steps, 1) % 6
        part = ids[:, segment * self.length :][:, : self.length + 1].astype(np.int32)
        reset = np.full(self.batch_size, segment == 0)
        return {"inputs": part[:, :-1], "targets": part[:, 1:], "reset": reset}

    def train(self, seed):
        return Batches(lambda i: self._batch(seed, i))

    def evaluate(self, split):
        ones = np.ones((self.batch_size, self.length), np.float32)
        return Batches(lambda i: self._batch(99, i) | {"mask": ones}, 3)

    def splits(self):
        return ("validation",)

    def spec(self):
        shape = (self.batch_size, self.length)
        ids = shape, np.dtype(np.int32)
        return Spec({"inputs": ids, "targets": ids, "reset": (shape[:1], np.dtype(bool))})

    def metadata(self):
        return {"vocab_size": 6, "vocabulary": "abcdef", "digest": "cycle"}

    def tokenizer(self, metadata):
        return Characters(tuple(metadata["vocabulary"]))


def classifier(**changes) -> Experiment:
    """Blobs through a net with batch normalisation and dropout."""
    base = Experiment(
        model=BatchNormNet(dropout=0.1),
        task=Classify(),
        data=Blobs(),
        optimizer=Optimizer(Momentum(), 0.05),
        steps=20,
        eval_every=5,
        save_every=4,
        log_every=3,
    )
    return dataclasses.replace(base, **changes)


def language_model(**changes) -> Experiment:
    """The cycle through a small LSTM whose carry goes from segment to segment."""
    base = Experiment(
        model=RecurrentLM(vocab_size=6, cell=LSTM(16), embed=8, layers=1, dropout=0.1),
        task=NextToken(sample_length=20),
        data=Cycle(),
        optimizer=Optimizer(learning_rate=1e-2, clip_norm=1.0),
        steps=20,
        eval_every=5,
        save_every=4,
        log_every=3,
    )
    return dataclasses.replace(base, **changes)


def record(**changes) -> dict:
    """A config.json of a run, with empty entries."""
    return {
        "experiment": "toy",
        "command": "python launch.py --experiment=toy",
        "started": "2001-02-03 04:05:06",
        "git": {"commit": None, "dirty": None},
        "arguments": [],
        "config": {},
        "metadata": {},
        "environment": {},
        "code_changes": [],
    } | changes


def batch(experiment: Experiment, step: int = 0) -> dict:
    return jax.tree.map(jnp.asarray, experiment.data.train(experiment.seed)[step])
