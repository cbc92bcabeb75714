"""Multi-head attention, of a sequence to itself or to another."""

from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jax.typing import DTypeLike

from nets.layers.attention import expand_to_queries
from nets.layers.checks import check_at_least, check_choice, check_probability
from nets.layers.linear import dense
from nets.layers.positions import rotate

AttentionBackend = Literal["xla", "cudnn"]


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention of several heads (Vaswani et al. 2017, section 3.2.2).

        head_i = softmax(x Q_i (m K_i)^T / sqrt(features / heads)) m V_i
        y = [head_1 .. head_h] O

    Head i has the i-th features / heads columns of the kernels Q [D, features], K and V
    [Dm, features]; O is [features, features]. It equals torch.nn.MultiheadAttention
    (`nets.interop.torch.attention_from_torch`). `project` computes keys and values once for many
    calls of `attend`.

        >>> attention, x = MultiHeadAttention(features=8, heads=2), jnp.ones((1, 5, 3))
        >>> y, weights = jax.eval_shape(attention.init_with_output, jax.random.key(0), x)[0]
        >>> y.shape, weights.shape
        ((1, 5, 8), (1, 2, 5, 5))

    Attributes:
        features: number of output channels.
        heads: number of heads.
        causal: whether query t attends to keys 0 to t only.
        use_bias: whether the four projections have biases, initialised to zero.
        rotary: whether queries and keys are turned by their positions
            (`nets.layers.positions.rotate`).
        dropout: probability of dropping a weight while training.
        backend: "cudnn" is the fused attention of `jax.nn.dot_product_attention`, for float16 and
            bfloat16 on a GPU, where no weights are needed and none is dropped; "xla" runs anywhere.
        kernel_init: initialiser of the kernels Q, K and V.
        out_init: initialiser of O. None means `kernel_init`.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    features: int
    heads: int
    causal: bool = False
    use_bias: bool = True
    rotary: bool = False
    dropout: float = 0.0
    backend: AttentionBackend = "xla"
    kernel_init: nn.initializers.Initializer = nn.initializers.xavier_uniform()
    out_init: nn.initializers.Initializer | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        check_at_least("heads", self.heads, 1)
        check_choice("backend", self.backend, AttentionBackend)
        check_probability("dropout", self.dropout)
        if self.features % self.heads:
            raise ValueError(f"heads must divide features={self.features}, got {self.heads}")
        inits = [self.kernel_init] * 3 + [self.out_init or self.kernel_init]
        self.query, self.key, self.value, self.out = (
            dense(
                self.features,
                self.dtype,
                self.param_dtype,
                use_bias=self.use_bias,
                kernel_init=init,
            )
            for init in inits
        )
        self.drop = nn.Dropout(self.dropout)

    def __call__(
        self,
        x: jax.Array,
        memory: jax.Array | None = None,
        mask: jax.Array | None = None,
        *,
        train: bool = False,
        need_weights: bool = True,
    ) -> tuple[jax.Array, jax.Array | None]:
        """Outputs [B, Q, features] and weights [B, heads, Q, K], float32 at least.

        Args:
            x: [B, Q, D].
            memory: [B, K, Dm]; None means x.
            mask: [B, K] or [B, Q, K] (bool), keys that may be attended to; None means all.
            train: whether dropout acts; needs the key `dropout` then.
            need_weights: whether the weights are returned, or None instead of them.

        Raises:
            ValueError: shapes do not fit, or `heads` does not divide `features`.
        """
        keys, values = self.project(x if memory is None else memory)
        return self.attend(x, keys, values, mask, train=train, need_weights=need_weights)

    def project(self, memory: jax.Array, start: int | jax.Array = 0) -> tuple[jax.Array, jax.Array]:
        """Keys and values of memory [B, K, Dm], each [B, K, heads, features / heads].

        `start` is the position of the first of them, if positions are rotary.
        """
        return self._turn(self._split(self.key(memory)), start), self._split(self.value(memory))

    def attend(
        self,
        x: jax.Array,
        keys: jax.Array,
        values: jax.Array,
        mask: jax.Array | None = None,
        *,
        start: int | jax.Array = 0,
        train: bool = False,
        need_weights: bool = True,
    ) -> tuple[jax.Array, jax.Array | None]:
        """The call's results, from keys and values that `project` computed.

        Args:
            x: [B, Q, D].
            keys: [B, K, heads, features / heads].
            values: the same.
            mask: [B, K] or [B, Q, K] (bool), keys that may be attended to; None means all.
            start: position of the first query, if positions are rotary.
            train: whether dropout acts; needs the key `dropout` then.
            need_weights: whether the weights are returned, or None instead of them.
        """
        queries, shape = self._split(self.query(x)), (*x.shape[:2], keys.shape[1])
        if queries.shape[0] != keys.shape[0] or queries.shape[2:] != keys.shape[2:]:
            raise ValueError(
                "queries and keys must be [B, Q, heads, F] and [B, K, heads, F], "
                f"got {list(queries.shape)} and {list(keys.shape)}"
            )
        queries = self._turn(queries, start)
        if mask is not None:
            mask = jnp.broadcast_to(expand_to_queries(mask, shape), shape)
        if self.causal:
            past = jnp.broadcast_to(jnp.tri(*shape[1:], dtype=bool), shape)
            mask = past if mask is None else past & mask
        dropped = train and self.dropout > 0
        if self.backend == "cudnn" and not (need_weights or dropped):
            check_fused(queries.dtype)
            y, weights = _fused(queries, keys, values, mask), None
        else:
            y, weights = self._mix(queries, keys, values, mask, train)
        y = self.out(y.reshape(*x.shape[:2], self.features))
        return y, weights if need_weights else None

    def _mix(self, queries, keys, values, mask, train):
        """The values of all heads [B, Q, heads, F], and the weights, zeros where no key is left.

        Divided by the sum of exponentials is the result, which is smaller than the weights are.
        """
        wide = jnp.promote_types(queries.dtype, jnp.float32)
        queries = queries * queries.shape[-1] ** -0.5
        scores = jnp.einsum("bqhf,bkhf->bhqk", queries, keys, preferred_element_type=wide)
        if mask is None:
            top = scores.max(-1, keepdims=True)
            exponentials = jnp.exp(scores - lax.stop_gradient(top))
        else:
            mask = jnp.broadcast_to(mask[:, None], scores.shape)  # the same for all heads
            scores = jnp.where(mask, scores, jnp.finfo(wide).min)  # finite: see `masked_softmax`
            top = scores.max(-1, keepdims=True)
            exponentials = jnp.where(mask, jnp.exp(scores - lax.stop_gradient(top)), 0)
        total = exponentials.sum(-1, keepdims=True)  # [B, heads, Q, 1]
        total = jnp.where(total > 0, total, 1)
        dropped = self.drop(exponentials, deterministic=not train).astype(values.dtype)
        y = jnp.einsum("bhqk,bkhf->bqhf", dropped, values)
        return (y / total.swapaxes(1, 2)).astype(values.dtype), exponentials / total

    def _split(self, x):
        """[B, T, features] split into heads, [B, T, heads, features / heads]."""
        return x.reshape(*x.shape[:-1], self.heads, -1)

    def _turn(self, x, start):
        return rotate(x, start + jnp.arange(x.shape[1])) if self.rotary else x


def _fused(queries, keys, values, mask):
    """The values of all heads [B, Q, heads, F] by cuDNN, zeros where no key is left."""
    shared = None if mask is None else mask[:, None]  # the same for all heads
    y = jax.nn.dot_product_attention(queries, keys, values, mask=shared, implementation="cudnn")
    return y if mask is None else jnp.where(mask.any(-1)[..., None, None], y, 0)


def check_fused(dtype: DTypeLike) -> None:
    """Raises ValueError where cuDNN's fused attention does not run: no GPU, or another dtype."""
    if jax.default_backend() != "gpu":
        raise ValueError(f"backend='cudnn' needs a GPU, got a {jax.default_backend()}")
    if dtype not in (jnp.float16, jnp.bfloat16):
        raise ValueError(f"backend='cudnn' needs the dtype float16 or bfloat16, got {dtype}")
