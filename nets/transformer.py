"""The Transformer: encoder and decoder, or a decoder alone as a language model.

`nets.layers.decoding` writes with both by the methods `start` and `step`, which keep the keys and
values of earlier symbols.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.attention_multi_head import AttentionBackend
from nets.layers.checks import check_at_least
from nets.layers.positions import PositionedEmbedding, Positions
from nets.layers.sequence import output_layer, shift_right, source_mask
from nets.layers.transformer_cache import DecoderCarry, advance, mean_weights, read
from nets.layers.transformer_layer import Memory, Norm, TransformerLayer, TransformerStack
from nets.types import Activation

Result = jax.Array | tuple[jax.Array, dict[str, jax.Array]]


class TransformerLM(nn.Module):
    """A decoder alone as a language model (Radford et al. 2018, 2019; Karpathy's nanoGPT).

        x_t = E[y_t] + P[t],    logits of y_{t+1} = N(layers(x_1 .. x_t)) E^T

    Each segment is read from position 0 on, by itself: nothing is carried from one to the next, and
    the carry of `nets.tasks.next_token` is empty. Kernels and vectors are initialised from
    N(0, 0.02^2), the last kernels of each layer's parts from N(0, 0.02^2 / (2 layers)), as in
    GPT-2. Dropout acts on x_t and on what each part of a layer adds.

    After `context` symbols the older half is forgotten: `step` reads the newer half anew from
    position 0 on, and goes on from there. Stages: layer_0, layer_1, ... [B, T, features].

    >>> model, x, key = TransformerLM(vocab_size=50), jnp.ones((2, 9), int), jax.random.key(0)
    >>> jax.eval_shape(lambda: model.init_with_output(key, x, train=False))[0][0].shape
    (2, 9, 50)

    Attributes:
        vocab_size: number of different symbols. None means that the data fills it in.
        features: number of channels.
        heads: number of heads.
        layers: number of layers.
        hidden: number of hidden units of each layer's perceptron. None means 4 features.
        context: maximum number of symbols that are read at once.
        positions: kind of positions (`nets.layers.positions`).
        norm: where layer normalisation is.
        activation: nonlinearity of the hidden units.
        tie: whether E is the output layer's kernel; or else it has its own, and a bias.
        use_bias: whether the layers have biases.
        dropout: probability of dropping a unit while training.
        attention_dropout: probability of dropping a weight of attention while training.
        backend: implementation of attention
            (`nets.layers.attention_multi_head.MultiHeadAttention`).
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    vocab_size: int | None
    features: int = 128
    heads: int = 4
    layers: int = 4
    hidden: int | None = None
    context: int = 64
    positions: Positions = "learned"
    norm: Norm = "pre"
    activation: Activation = nn.gelu
    tie: bool = True
    use_bias: bool = True
    dropout: float = 0.0
    attention_dropout: float = 0.0
    backend: AttentionBackend = "xla"
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        check_at_least("TransformerLM.vocab_size", self.vocab_size, 1)
        check_at_least("features", self.features, 1)
        check_at_least("context", self.context, 2)
        check_at_least("layers", self.layers, 1)
        init = nn.initializers.normal
        inits = {"kernel_init": init(0.02), "out_init": init(0.02 / (2 * self.layers) ** 0.5)}
        self.embedding = _embedding(self, self.vocab_size, 0.02)
        self.decoder = _stack(self, causal=True, **inits)
        self.drop = nn.Dropout(self.dropout)
        if not self.tie:
            self.output = output_layer(self, self.vocab_size, kernel_init=init(0.02))

    def __call__(
        self,
        inputs: jax.Array,
        carry: tuple[()] = (),
        reset: jax.Array | None = None,
        *,
        train: bool,
        stages: bool = False,
    ) -> tuple[jax.Array, tuple[()]] | tuple[jax.Array, tuple[()], dict[str, jax.Array]]:
        """Reads inputs [B, T] (int): logits [B, T, V] of the next symbols, and no carry.

        `carry` and `reset` are those of other language models, and without meaning. Logits are
        float32 at least. Needs the key `dropout` while training if any dropout is above 0.

        Raises:
            ValueError: inputs are no rows of symbols, or T is above `context`.
        """
        del carry, reset
        x = self.drop(self.embedding(inputs), deterministic=not train)
        y, outputs, _, _ = self.decoder(x, train=train)
        logits = self._logits(y)
        if not stages:
            return logits, ()
        return logits, (), {f"layer_{i}": x for i, x in enumerate(outputs)}

    def start(self, inputs: jax.Array) -> tuple[tuple[()], DecoderCarry]:
        """No memory, and the carry after inputs [B, T] (int), of which the newest are read."""
        return (), read(self, inputs[:, -self.context :], None)

    def step(
        self, memory: tuple[()], carry: DecoderCarry, symbols: jax.Array
    ) -> tuple[DecoderCarry, jax.Array, jax.Array]:
        """Carry, logits [N, V] and weights [N, context] after symbols [N] (int).

        Weights are the mean over layers and heads, to the latest symbols, this one last.
        """
        carry, y, weights = advance(self, carry, symbols, None)
        weights = jnp.roll(mean_weights(weights)[:, 0], self.context - carry.time[0], axis=-1)
        return carry, self._logits(y)[:, 0], weights

    def _logits(self, y: jax.Array) -> jax.Array:
        return self.embedding.logits(y) if self.tie else self.output(y)

    @nn.nowrap
    def initial_carry(self, shape: tuple[int, ...]) -> tuple[()]:
        """No carry between segments."""
        return ()


class Transformer(nn.Module):
    """Encoder and decoder for sequence to sequence (Vaswani et al. 2017).

        m = encoder(e(x_1 .. x_S))
        logits of y_t = decoder(e'(y_0 .. y_{t-1}); m) W + b,    y_0 = 0

    e and e' give the vectors of symbols, in matrices E and E', with their positions; sinusoidal
    ones, the paper's, as sqrt(D) E x + S (`nets.layers.positions.PositionedEmbedding`). Symbol 0 is
    padding: sources are read up to their first 0, and targets begin and end with it. Kernels are
    initialised Xavier uniform, vectors from N(0, 1 / D). Dropout acts on the vectors with their
    positions and on what each part of a layer adds. With norm="pre" encoder and decoder end with a
    layer normalisation. After `context` symbols of a target it goes on as `TransformerLM` does.
    Stages: encoder [B, S, D], and weights [B, U, S], the mean over layers and heads.

    >>> model, key = Transformer(num_classes=7, vocab_size=7), jax.random.key(0)
    >>> x = jnp.ones((2, 9), int)
    >>> jax.eval_shape(lambda: model.init_with_output(key, x, x, train=False))[0].shape
    (2, 9, 7)

    Attributes:
        num_classes: number of different symbols of the targets. None means that the data fills it
            in.
        vocab_size: number of different symbols of the sources. None means that the data fills it
            in.
        features: number of channels D.
        heads: number of heads.
        layers: number of layers of the encoder, and of the decoder.
        hidden: number of hidden units of each layer's perceptron. None means 4 D.
        context: maximum number of symbols of a source, and of a target in training.
        positions: kind of positions (`nets.layers.positions`).
        norm: where layer normalisation is; the paper's is post.
        activation: nonlinearity of the hidden units.
        tie: whether E' is the kernel W too, without b.
        share: whether E' is E too, for one vocabulary of both languages.
        dropout: probability of dropping a unit while training.
        attention_dropout: probability of dropping a weight of attention while training.
        backend: implementation of attention
            (`nets.layers.attention_multi_head.MultiHeadAttention`).
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    num_classes: int | None = None
    vocab_size: int | None = None
    features: int = 128
    heads: int = 4
    layers: int = 3
    hidden: int | None = None
    context: int = 256
    positions: Positions = "sinusoidal"
    norm: Norm = "post"
    activation: Activation = nn.relu
    tie: bool = True
    share: bool = False
    dropout: float = 0.0
    attention_dropout: float = 0.0
    backend: AttentionBackend = "xla"
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        check_at_least("Transformer.num_classes", self.num_classes, 1)
        check_at_least("Transformer.vocab_size", self.vocab_size, 1)
        check_at_least("features", self.features, 1)
        check_at_least("context", self.context, 2)
        if self.share and self.num_classes != self.vocab_size:
            raise ValueError(
                "share needs one vocabulary for both languages, got "
                f"vocab_size={self.vocab_size} and num_classes={self.num_classes}"
            )
        self.embedding = _embedding(self, self.num_classes, self.features**-0.5)
        if not self.share:
            self.source = _embedding(self, self.vocab_size, self.features**-0.5)
        self.encoder = _stack(self)
        self.decoder = _stack(self, causal=True, cross=True)
        self.drop = nn.Dropout(self.dropout)
        if not self.tie:
            xavier = nn.initializers.xavier_uniform()
            self.output = output_layer(self, self.num_classes, kernel_init=xavier)

    def __call__(
        self, inputs: jax.Array, targets: jax.Array, *, train: bool, stages: bool = False
    ) -> Result:
        """Logits [B, U, num_classes], float32 at least, of targets [B, U] after inputs [B, S].

        The logits of step t see the targets before t (teacher forcing). Needs the key `dropout`
        while training if any dropout is above 0.

        Raises:
            ValueError: inputs and targets are not as many rows of symbols, S or U is above
                `context`, or `share` is out of its range.
        """
        if len(inputs) != len(targets):
            raise ValueError(
                f"inputs and targets must have as many rows, got shapes {list(inputs.shape)} and "
                f"{list(targets.shape)}"
            )
        encoded, memory = self._encode(inputs, train)
        y = self.drop(self.embedding(shift_right(targets)), deterministic=not train)
        y, _, _, weights = self.decoder(y, None, memory, train=train, need_weights=stages)
        logits = self._logits(y)
        return (
            (logits, {"encoder": encoded, "weights": mean_weights(weights)}) if stages else logits
        )

    def start(self, inputs: jax.Array) -> tuple[Memory, DecoderCarry]:
        """The encoded source and the decoder's carry before its first step, for inputs [B, S]."""
        _, memory = self._encode(inputs, False)
        return memory, read(self, jnp.zeros((len(inputs), 0), jnp.int32), memory)

    def step(
        self, memory: Memory, carry: DecoderCarry, symbols: jax.Array
    ) -> tuple[DecoderCarry, jax.Array, jax.Array]:
        """Carry, logits [N, num_classes] and weights [N, S] after symbols [N] (int32).

        Row n of B in `memory` belongs to rows n N / B to (n + 1) N / B - 1 of the others.
        """
        carry, y, weights = advance(self, carry, symbols, memory)
        return carry, self._logits(y)[:, 0], mean_weights(weights).reshape(len(symbols), -1)

    def _encode(self, inputs: jax.Array, train: bool) -> tuple[jax.Array, Memory]:
        embed = self.embedding if self.share else self.source
        x = self.drop(embed(inputs), deterministic=not train)
        mask = source_mask(inputs)
        encoded = self.encoder(x, mask, train=train)[0]
        return encoded, self.decoder.project(encoded, mask)

    def _logits(self, y: jax.Array) -> jax.Array:
        return self.embedding.logits(y) if self.tie else self.output(y)


Model = TransformerLM | Transformer


def _embedding(model: Model, size: int | None, std: float) -> PositionedEmbedding:
    dtypes = {"dtype": model.dtype, "param_dtype": model.param_dtype}
    return PositionedEmbedding(size, model.features, model.context, model.positions, std, **dtypes)


def _stack(model: Model, **options: Any) -> TransformerStack:
    """The layers that a model's fields describe; `options` are other fields of a layer."""
    names = ("features", "heads", "hidden", "norm", "activation", "dropout", "attention_dropout")
    fields = {name: getattr(model, name) for name in (*names, "backend", "dtype", "param_dtype")}
    if isinstance(model, TransformerLM):
        fields["use_bias"] = model.use_bias
    layer = TransformerLayer(**fields, rotary=model.positions == "rotary", **options, parent=None)
    return TransformerStack(layer, model.layers, final_norm=model.norm == "pre")
