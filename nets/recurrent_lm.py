"""Recurrent language model over characters or words."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.elman import Elman
from nets.gru import GRU, MGU
from nets.layers.checks import check_probability
from nets.layers.linear import dense
from nets.layers.recurrent import Backend, Recurrent
from nets.layers.recurrent_cell import add_bias, matmul
from nets.lstm import LSTM
from nets.lstmn import LSTMN

Carry = tuple


class RecurrentLM(nn.Module):
    """Stacked recurrent layers that predict the next character (Graves 2013, Karpathy et al. 2015).

    Characters are any symbols with ids from 0 to V - 1, such as words. Embeddings are initialised
    from N(0, 1). With `tie` they are also the kernel of the output layer (Press and Wolf 2017,
    section 2), which then has only a bias of its own, and are initialised from N(0, 1 / embed).

    Dropout acts on the inputs of each layer and of the output layer, not on recurrent connections
    (Zaremba et al. 2014); with `variational` one mask serves all steps (Gal and Ghahramani 2016).
    Together with `embed_dropout`, `recurrent_dropout` and `tie` this is the AWD-LSTM (Merity et al.
    2018, section 4), except that it has several probabilities instead of one `dropout`.

    Stages: layer_0, layer_1, ... [B, T, cell.output_features], before dropout.

    >>> model, x, key = RecurrentLM(vocab_size=50), jnp.ones((2, 9), int), jax.random.key(0)
    >>> jax.eval_shape(lambda: model.init_with_output(key, x, train=False))[0][0].shape
    (2, 9, 50)

    Attributes:
        vocab_size: number of different characters V.
        cell: the recurrent cell.
        embed: size of the embeddings.
        layers: number of recurrent layers.
        tie: whether the output layer's kernel is the embedding.
        dropout: probability of dropping a unit while training.
        variational: whether one mask of `dropout` serves all steps.
        embed_dropout: probability of dropping the whole embedding of a character, at all its
            positions.
        recurrent_dropout: probability of dropping a recurrent weight, with one mask per call.
        zoneout: for each array of the cell's carry, the probability that a unit keeps its old value
            (Krueger et al. 2017).
        residual: whether each recurrent layer from the second on adds its input to its output.
        chunk: number of steps whose inner values are recomputed in the backward pass. None means
            that all are saved.
        backend: implementation of the recurrent layers (`nets.layers.recurrent.Recurrent`).
        dtype: computation dtype.
        param_dtype: parameter dtype, and dtype of the carry.
    """

    vocab_size: int | None
    cell: LSTM | GRU | MGU | Elman | LSTMN = LSTM(256)
    embed: int = 64
    layers: int = 2
    tie: bool = False
    dropout: float = 0.0
    variational: bool = False
    embed_dropout: float = 0.0
    recurrent_dropout: float = 0.0
    zoneout: tuple[float, ...] = ()
    residual: bool = False
    chunk: int | None = None
    backend: Backend = "auto"
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        inputs: jax.Array,
        carry: Carry | None = None,
        reset: jax.Array | None = None,
        *,
        train: bool,
        stages: bool = False,
    ) -> tuple[jax.Array, Carry] | tuple[jax.Array, Carry, dict[str, jax.Array]]:
        """Reads inputs [B, T] (int): logits [B, T, V] of the next characters, and the carry.

        `carry` is the carry before the first character; None means zeros. Rows restart from zeros
        where `reset` is true, [B, T] or, for the first step only, [B] (bool). Logits are float32 at
        least. Needs the key `dropout` while training if any dropout or zoneout is above 0.

        Raises:
            ValueError: with `tie`, `embed` is not the output size of the cell; a dropout is not in
                [0, 1).
        """
        check_probability("RecurrentLM.embed_dropout", self.embed_dropout)
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        wide = jnp.promote_types(self.dtype, jnp.float32)
        shared = (1,) if self.variational else ()
        drop = nn.Dropout(self.dropout, shared, deterministic=not train)
        init = nn.initializers.normal(self.embed**-0.5 if self.tie else 1.0)
        embedding = nn.Embed(
            self.vocab_size, self.embed, embedding_init=init, **dtypes, name="embedding"
        )
        x = embedding(inputs)
        if train and self.embed_dropout:
            ones = jnp.ones((self.vocab_size, 1), x.dtype)
            x = x * nn.Dropout(self.embed_dropout, deterministic=False)(ones)[inputs]
        x, carry, outputs = self._recurrent(name="recurrent")(
            drop(x), carry, reset=reset, train=train, stages=True
        )
        x = drop(x)
        if self.tie:
            logits = self._tied(x.astype(wide), embedding.embedding.astype(wide))
        else:
            logits = dense(self.vocab_size, wide, self.param_dtype, name="output")(x)
        if not stages:
            return logits, carry
        return logits, carry, {f"layer_{i}": x for i, x in enumerate(outputs)}

    def start(self, inputs: jax.Array) -> tuple[tuple[()], Carry]:
        """No memory, and the carry after inputs [B, T] (int), for `nets.layers.decoding`."""
        if inputs.shape[1] == 0:
            return (), self.initial_carry(inputs.shape[:1])
        return (), self(inputs, train=False)[1]

    def step(
        self, memory: tuple[()], carry: Carry, symbols: jax.Array
    ) -> tuple[Carry, jax.Array, jax.Array]:
        """Carry, logits [N, V] and weights [N, K] after symbols [N] (int).

        Weights are the last layer's attention to the K latest symbols, this one last; K is 0 for
        cells without attention.
        """
        logits, carry = self(symbols[:, None], carry, train=False)
        return carry, logits[:, 0], self.cell.attention(carry[-1][0])

    def _tied(self, x: jax.Array, embedding: jax.Array) -> jax.Array:
        if self.embed != self.cell.output_features:
            raise ValueError(
                "RecurrentLM.embed must be the cell's output size with tie=True, "
                f"{self.cell.output_features}, got {self.embed}"
            )
        zeros = nn.initializers.zeros
        bias = self.param("output_bias", zeros, (self.vocab_size,), self.param_dtype)
        return add_bias(matmul(x, embedding.T), bias.astype(x.dtype))

    @nn.nowrap
    def initial_carry(self, shape: tuple[int, ...]) -> Carry:
        """The carry before the first character, zeros, for ids of this shape in one step, [B]."""
        return self._recurrent(parent=None).initial_carry((*shape, self.embed))

    @nn.nowrap
    def _recurrent(self, **options: Any) -> Recurrent:
        return Recurrent(
            self.cell,
            self.layers,
            dropout=self.dropout,
            variational=self.variational,
            recurrent_dropout=self.recurrent_dropout,
            zoneout=self.zoneout,
            residual=self.residual,
            chunk=self.chunk,
            backend=self.backend,
            dtype=self.dtype,
            param_dtype=self.param_dtype,
            **options,
        )
