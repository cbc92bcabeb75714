"""The encoder-decoder of Sutskever et al. 2014: one carry is all that the decoder is told."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.elman import Elman, Jordan
from nets.gru import GRU, MGU
from nets.layers.checks import check_at_least
from nets.layers.recurrent import Backend
from nets.layers.sequence import one_hot, output_layer, recurrent_layers, shift_right, source_mask
from nets.lstm import LSTM

Carry = tuple


class Seq2Seq(nn.Module):
    """Reads one sequence of symbols, then writes another (Sutskever et al. 2014).

        c = encoder(x_1 .. x_S), its last carry
        h_t = decoder(y_{t-1}) from c    y_0 = 0
        logits of y_t = h_t V + b

    Symbol 0 is padding: inputs are read up to their first 0, and targets end with it. With
    `reverse` the encoder reads x_S .. x_1, so that the first words of both come close to each other
    (section 3.3). Dropout acts on embeddings, between layers and on h_t.

    >>> model, key = Seq2Seq(num_classes=7, vocab_size=7), jax.random.key(0)
    >>> x = jnp.ones((2, 9), int)
    >>> jax.eval_shape(lambda: model.init_with_output(key, x, x, train=False))[0].shape
    (2, 9, 7)

    Attributes:
        num_classes: number of different symbols of the targets. None means that the data fills it
            in.
        vocab_size: number of different symbols of the inputs. None means that the data fills it in.
        cell: the recurrent cell of encoder and decoder.
        embedding: features of the embeddings of both. None means one-hot vectors.
        layers: number of recurrent layers of encoder and decoder.
        reverse: whether the encoder reads from the last symbol to the first.
        dropout: probability of dropping a unit while training.
        backend: implementation of the recurrent layers (`nets.layers.recurrent.Recurrent`).
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    num_classes: int | None = None
    vocab_size: int | None = None
    cell: LSTM | GRU | Elman | MGU | Jordan = LSTM(128)
    embedding: int | None = None
    layers: int = 1
    reverse: bool = False
    dropout: float = 0.0
    backend: Backend = "auto"
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        self.encoder = recurrent_layers(self, reverse=self.reverse)
        self.decoder = recurrent_layers(self)
        self.output = output_layer(self, self.num_classes)
        self.drop = nn.Dropout(self.dropout)
        if self.embedding is not None:
            check_at_least("embedding", self.embedding, 1)
            dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
            self.source = nn.Embed(self.vocab_size, self.embedding, **dtypes)
            self.target = nn.Embed(self.num_classes, self.embedding, **dtypes)

    def __call__(self, inputs: jax.Array, targets: jax.Array, *, train: bool) -> jax.Array:
        """Logits [B, U, num_classes], float32 at least, of targets [B, U] after inputs [B, S].

        The logits of step t see the targets before t (teacher forcing). Needs the key `dropout`
        while training if `dropout` is above 0.
        """
        _, carry = self.start(inputs, train=train)
        h, _ = self.decoder(self._targets(shift_right(targets), train), carry, train=train)
        return self.output(self.drop(h, deterministic=not train))

    def start(self, inputs: jax.Array, *, train: bool = False) -> tuple[tuple[()], Carry]:
        """An empty memory, and the encoder's carry after inputs [B, S]."""
        if self.embedding is None:
            x = one_hot(inputs, self.vocab_size, self.dtype)
        else:
            x = self.drop(self.source(inputs), deterministic=not train)
        return (), self.encoder(x, lengths=source_mask(inputs).sum(1), train=train)[1]

    def step(
        self, memory: tuple[()], carry: Carry, symbols: jax.Array
    ) -> tuple[Carry, jax.Array, jax.Array]:
        """Carry, logits [N, num_classes] and empty weights [N, 0] after symbols [N] (int32)."""
        carry, h = self.decoder.step(carry, self._targets(symbols, False))
        return carry, self.output(h), jnp.zeros((len(symbols), 0))

    def _targets(self, symbols: jax.Array, train: bool) -> jax.Array:
        if self.embedding is None:
            return one_hot(symbols, self.num_classes, self.dtype)
        return self.drop(self.target(symbols), deterministic=not train)
