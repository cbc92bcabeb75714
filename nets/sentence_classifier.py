"""Classification of sentences by a recurrent network over their words."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.gru import GRU
from nets.layers.checks import check_at_least, check_choice, check_probability
from nets.layers.recurrent import Backend, Recurrent
from nets.layers.sequence import output_layer, source_mask
from nets.layers.word_dropout import word_dropout
from nets.layers.word_pooling import AttentionPool, Pooling, max_over_time, mean_pool
from nets.lstm import LSTM


class SentenceClassifier(nn.Module):
    """A recurrent network over the words of a sentence, and one class for all of it.

        h_1 .. h_T = recurrent(E x_1 .. E x_T)
        logits = pool(h_1 .. h_T) V + b

    `pooling` takes the last state ("last"; backwards that after x_1), the mean or the maximum of
    all, or a mean weighted by attention (Yang et al. 2016). Symbol 0 is padding: a sentence is read
    up to its first 0. Dropout acts on embeddings, between layers and on what is pooled;
    `word_dropout` replaces words by the unknown. Stages: layer_0, layer_1, ... [B, T, features],
    and with "max" and "attention" weights [B, T], the share of each word in the pooled.

    >>> model, x = SentenceClassifier(num_classes=3, vocab_size=9), jnp.ones((2, 5), int)
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 3)

    Attributes:
        num_classes: number of classes. None means that the data fills it in.
        vocab_size: number of words. None means that the data fills it in.
        embedding: features of the embedding.
        cell: the recurrent cell.
        layers: number of recurrent layers.
        bidirectional: whether a second cell of each layer reads backwards.
        pooling: what is taken of the states.
        dropout: probability of dropping a unit while training.
        word_dropout: probability of replacing a word by the unknown, 1, while training.
        backend: implementation of the recurrent layers (`nets.layers.recurrent.Recurrent`).
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    num_classes: int | None = None
    vocab_size: int | None = None
    embedding: int = 100
    cell: LSTM | GRU = LSTM(100)
    layers: int = 1
    bidirectional: bool = True
    pooling: Pooling = "max"
    dropout: float = 0.5
    word_dropout: float = 0.0
    backend: Backend = "auto"
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, inputs: jax.Array, *, train: bool, stages: bool = False
    ) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
        """Logits [B, num_classes], float32 at least, of words [B, T] (int).

        Needs the key "dropout" while training if a dropout is above 0.

        Raises:
            ValueError: a field is out of its range, or inputs are not [B, T].
        """
        check_choice("pooling", self.pooling, Pooling)
        check_at_least("embedding", self.embedding, 1)
        check_probability("word_dropout", self.word_dropout)
        if inputs.ndim != 2:
            raise ValueError(f"inputs must be [B, T], got shape {list(inputs.shape)}")
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        mask = source_mask(inputs)
        if train and self.word_dropout:
            inputs = word_dropout(self.make_rng("dropout"), inputs, self.word_dropout)
        drop = nn.Dropout(self.dropout, deterministic=not train)
        x = drop(nn.Embed(self.vocab_size, self.embedding, name="words", **dtypes)(inputs))
        recurrent = Recurrent(
            self.cell,
            self.layers,
            bidirectional=self.bidirectional,
            dropout=self.dropout,
            backend=self.backend,
            name="recurrent",
            **dtypes,
        )
        h, carry, hidden = recurrent(x, lengths=mask.sum(1), train=train, stages=True)
        outputs = {f"layer_{i}": a for i, a in enumerate(hidden)}
        if self.pooling == "attention":
            pool = AttentionPool(self.cell.output_features, name="attention", **dtypes)
            pooled, outputs["weights"] = pool(h, mask)
        elif self.pooling == "max":
            pooled, outputs["weights"] = max_over_time(h, mask)
        elif self.pooling == "mean":
            pooled = mean_pool(h, mask)
        else:
            pooled = jnp.concatenate([direction.h for direction in carry[-1]], -1).astype(h.dtype)
        logits = output_layer(self, self.num_classes, name="output")(drop(pooled))
        return (logits, outputs) if stages else logits
