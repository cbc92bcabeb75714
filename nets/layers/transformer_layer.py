"""Layers of a Transformer, over whole sequences and one step at a time."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jax.typing import DTypeLike

from nets.layers.attention_multi_head import AttentionBackend, MultiHeadAttention
from nets.layers.checks import check_at_least, check_choice, check_probability
from nets.layers.linear import dense
from nets.types import Activation

Norm = Literal["pre", "post"]


class KeysValues(NamedTuple):
    """Keys and values of K symbols for one layer, each [N, K, heads, features / heads].

    A cache has them as [N, heads, K, ...], in the order in which a step reads them.
    """

    keys: jax.Array
    values: jax.Array


class Memory(NamedTuple):
    """Keys and values of an encoded source for each layer of a decoder.

    Attributes:
        layers: of each layer the keys and values of the memory, [B, S, ...].
        mask: [B, S] (bool), false at padding.
    """

    layers: tuple[KeysValues, ...]
    mask: jax.Array


class TransformerLayer(nn.Module):
    """Attention of a sequence to itself, to a memory with `cross`, and a perceptron of one hidden
    layer (Vaswani et al. 2017, section 3.1).

        x = N(x + attention(x))    norm="post", as published: N is layer normalisation
        x = x + attention(N(x))    norm="pre" (Xiong et al. 2020), trained without a warm-up too

    and likewise the other parts. Dropout acts on the result of each part. It equals
    torch.nn.TransformerEncoderLayer or TransformerDecoderLayer
    (`nets.interop.torch.transformer_from_torch`).

        >>> layer, x = TransformerLayer(features=8, heads=2), jnp.ones((1, 5, 8))
        >>> jax.eval_shape(layer.init_with_output, jax.random.key(0), x)[0][0].shape
        (1, 5, 8)

    Attributes:
        features: number of channels, of the input too.
        heads: number of heads.
        hidden: number of hidden units. None means 4 features.
        causal: whether a symbol attends to those up to itself only.
        cross: whether there is attention to a memory.
        norm: where layer normalisation is.
        activation: nonlinearity of the hidden units.
        use_bias: whether dense layers and layer normalisations have biases.
        rotary: whether attention of the sequence to itself has rotary positions.
        dropout: probability of dropping a unit while training.
        attention_dropout: probability of dropping a weight of attention while training.
        backend: implementation of attention (`MultiHeadAttention`).
        kernel_init: initialiser of kernels.
        out_init: initialiser of the last kernel of each part. None means `kernel_init`.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    features: int
    heads: int
    hidden: int | None = None
    causal: bool = False
    cross: bool = False
    norm: Norm = "pre"
    activation: Activation = nn.relu
    use_bias: bool = True
    rotary: bool = False
    dropout: float = 0.0
    attention_dropout: float = 0.0
    backend: AttentionBackend = "xla"
    kernel_init: nn.initializers.Initializer = nn.initializers.xavier_uniform()
    out_init: nn.initializers.Initializer | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        check_choice("norm", self.norm, Norm)
        for field in ("dropout", "attention_dropout"):
            check_probability(field, getattr(self, field))
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        init, out = self.kernel_init, self.out_init or self.kernel_init
        options = {"use_bias": self.use_bias, **dtypes}
        inits = {"kernel_init": init, "out_init": out}
        heads = {"dropout": self.attention_dropout, "backend": self.backend, **inits, **options}
        self.attention = MultiHeadAttention(self.features, self.heads, rotary=self.rotary, **heads)
        self.attention_norm = layer_norm(self)
        if self.cross:
            self.cross_attention = MultiHeadAttention(self.features, self.heads, **heads)
            self.cross_norm = layer_norm(self)
        hidden = 4 * self.features if self.hidden is None else self.hidden
        check_at_least("hidden", hidden, 1)
        self.mlp_in = dense(hidden, **options, kernel_init=init)
        self.mlp_out = dense(self.features, **options, kernel_init=out)
        self.mlp_norm = layer_norm(self)
        self.drop = nn.Dropout(self.dropout)

    def __call__(
        self,
        x: jax.Array,
        mask: jax.Array | None = None,
        memory: KeysValues | None = None,
        memory_mask: jax.Array | None = None,
        *,
        train: bool = False,
        need_weights: bool = False,
    ) -> tuple[jax.Array, KeysValues, jax.Array | None]:
        """Outputs [N, T, features], keys and values of x, and weights of attention.

        Weights [B, heads, Q, K], float32 at least, are those of the last attention, to the memory
        with `cross`; None without `need_weights`. Row n of B in a memory belongs to rows n N / B to
        (n + 1) N / B - 1 of x, whose steps follow each other in Q = T N / B.

        Args:
            x: [N, T, features].
            mask: [N, T] (bool), symbols that may be attended to; None means all.
            memory: keys and values of S symbols for each of B rows, from `project`.
            memory_mask: [B, S] (bool), those that may be attended to; None means all.
            train: whether dropout acts; needs the key `dropout` then.
            need_weights: whether weights are returned.
        """
        if self.causal:
            n, length = x.shape[:2]
            past = jnp.broadcast_to(jnp.tri(length, dtype=bool), (n, length, length))
            mask = past if mask is None else past & mask[:, None]
        options = {"train": train, "need_weights": need_weights}
        h = self._before(self.attention_norm, x)
        projected = KeysValues(*self.attention.project(h))
        y, weights = self.attention.attend(h, *projected, mask, **options)
        x = self._after(self.attention_norm, x, y, train)
        y, crossed = self._rest(x, memory, memory_mask, **options)
        return y, projected, crossed if self.cross else weights

    def step(
        self,
        x: jax.Array,
        cache: KeysValues,
        time: jax.Array,
        memory: KeysValues | None = None,
        memory_mask: jax.Array | None = None,
    ) -> tuple[jax.Array, KeysValues, jax.Array]:
        """The call's results for one more symbol x [N, 1, features], the `time`-th (from 0).

        `cache` has room for K symbols and holds those before; the result holds this one too.
        Without `cross` weights are [N, heads, 1, K].
        """
        h = self._before(self.attention_norm, x)
        new = self.attention.project(h, time)
        cache = KeysValues(
            *(
                lax.dynamic_update_slice_in_dim(a, b.swapaxes(1, 2).astype(a.dtype), time, 2)
                for a, b in zip(cache, new, strict=True)
            )
        )
        room = (len(x), cache.keys.shape[2])
        mask = jnp.broadcast_to(jnp.arange(room[1]) <= time, room)
        keys, values = (a.swapaxes(1, 2) for a in cache)
        y, weights = self.attention.attend(h, keys, values, mask, start=time)
        x = self._after(self.attention_norm, x, y, False)
        y, crossed = self._rest(x, memory, memory_mask, train=False, need_weights=True)
        return y, cache, crossed if self.cross else weights

    def project(self, memory: jax.Array) -> KeysValues:
        """Keys and values of a memory [B, S, D] for `cross`."""
        return KeysValues(*self.cross_attention.project(memory))

    def _rest(self, x, memory, mask, *, train, need_weights):
        """The parts after the attention of the sequence to itself."""
        weights = None
        if self.cross:
            h = self._before(self.cross_norm, x)
            h = h.reshape(len(memory.keys), -1, self.features)
            y, weights = self.cross_attention.attend(
                h, *memory, mask, train=train, need_weights=need_weights
            )
            x = self._after(self.cross_norm, x, y.reshape(x.shape), train)
        h = self._before(self.mlp_norm, x)
        y = self.mlp_out(self.activation(self.mlp_in(h)))
        return self._after(self.mlp_norm, x, y, train), weights

    def _before(self, norm, x):
        return norm(x) if self.norm == "pre" else x

    def _after(self, norm, x, y, train):
        x = x + self.drop(y, deterministic=not train)
        return norm(x) if self.norm == "post" else x


class TransformerStack(nn.Module):
    """Layers of a Transformer, a stack: an encoder, or with `cross` a decoder.

        >>> encoder = TransformerStack(TransformerLayer(features=8, heads=2), layers=3)
        >>> x = jnp.ones((1, 5, 8))
        >>> jax.eval_shape(encoder.init_with_output, jax.random.key(0), x)[0][0].shape
        (1, 5, 8)

    Attributes:
        block: what each layer is; each has its own parameters.
        layers: number of layers.
        final_norm: whether the result is layer-normalised, which norm="pre" needs.
    """

    block: TransformerLayer
    layers: int = 1
    final_norm: bool = True

    def setup(self) -> None:
        check_at_least("layers", self.layers, 1)
        self.layer = [self.block.clone() for _ in range(self.layers)]
        if self.final_norm:
            self.norm = layer_norm(self.block)

    def __call__(
        self,
        x: jax.Array,
        mask: jax.Array | None = None,
        memory: Memory | None = None,
        *,
        train: bool = False,
        need_weights: bool = False,
    ) -> tuple[jax.Array, list[jax.Array], list[KeysValues], list[jax.Array | None]]:
        """Outputs [N, T, features], and of each layer the output, keys and values, and weights.

        The arguments are those of a layer; `memory` comes from `project`.
        """
        outputs, projected, weights = [], [], []
        for layer, (given, shown) in zip(self.layer, self._of_layers(memory), strict=True):
            x, *more = layer(x, mask, given, shown, train=train, need_weights=need_weights)
            for values, value in zip((outputs, projected, weights), (x, *more), strict=True):
                values.append(value)
        return self._normalised(x), outputs, projected, weights

    def step(
        self,
        x: jax.Array,
        caches: Sequence[KeysValues],
        time: jax.Array,
        memory: Memory | None = None,
    ) -> tuple[jax.Array, tuple[KeysValues, ...], list[jax.Array]]:
        """Outputs [N, 1, features] of one more symbol; of each layer the cache, and weights."""
        after, weights = [], []
        for layer, cache, given in zip(self.layer, caches, self._of_layers(memory), strict=True):
            x, cache, attention = layer.step(x, cache, time, *given)
            after.append(cache)
            weights.append(attention)
        return self._normalised(x), tuple(after), weights

    def project(self, memory: jax.Array, mask: jax.Array) -> Memory:
        """The memory [B, S, D] and its mask [B, S] as the layers attend to it."""
        return Memory(tuple(layer.project(memory) for layer in self.layer), mask)

    def _of_layers(self, memory):
        if memory is None:
            return [(None, None)] * self.layers
        return [(projected, memory.mask) for projected in memory.layers]

    def _normalised(self, x):
        return self.norm(x) if self.final_norm else x


def layer_norm(layer: TransformerLayer) -> nn.LayerNorm:
    """The layer normalisation of a layer's fields (Ba et al. 2016), with torch's epsilon, 1e-5."""
    return nn.LayerNorm(
        1e-5, use_bias=layer.use_bias, dtype=layer.dtype, param_dtype=layer.param_dtype
    )
