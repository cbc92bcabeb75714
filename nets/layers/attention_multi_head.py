"""Multi-head attention, of a sequence to itself or to another."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.attention import attend, each_query
from nets.layers.attention_scores import dot


class MultiHeadAttention(nn.Module):
    """Scaled dot attention of several heads (Vaswani et al. 2017, section 3.2.2).

        head_i = softmax(x Q_i (m K_i)^T / sqrt(features / heads)) m V_i
        y = [head_1 .. head_h] O

    Head i has the i-th features / heads columns of the kernels Q [D, features], K and V
    [Dm, features]; O is [features, features]. It computes what torch.nn.MultiheadAttention does
    (`nets.interop.torch.attention_from_torch`). Keys and values can be computed once, for many
    queries, by `project`.

    Attributes:
        features: number of output channels.
        heads: number of heads.
        causal: whether query t sees keys up to t alone.
        use_bias: whether the four projections have biases, zeros at first.
        kernel_init: initialiser of each kernel.
        dtype: what it computes in.
        param_dtype: what it stores.
    """

    features: int
    heads: int
    causal: bool = False
    use_bias: bool = True
    kernel_init: nn.initializers.Initializer = nn.initializers.xavier_uniform()
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self):
        if self.heads < 1 or self.features % self.heads:
            raise ValueError(f"heads={self.heads} must divide features={self.features}")
        self.query, self.key, self.value, self.out = (
            nn.Dense(
                self.features,
                self.use_bias,
                kernel_init=self.kernel_init,
                dtype=self.dtype,
                param_dtype=self.param_dtype,
            )
            for _ in range(4)
        )

    def __call__(
        self, x: jax.Array, memory: jax.Array | None = None, mask: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array]:
        """Outputs [B, Q, features] and weights [B, heads, Q, K], float32 at least.

        Args:
            x: [B, Q, D].
            memory: [B, K, Dm]; x itself if none.
            mask: [B, K] or [B, Q, K] (bool), keys that may be looked at; all if none.

        Raises:
            ValueError: shapes do not fit, or `heads` does not divide `features`.
        """
        return self.attend(x, *self.project(x if memory is None else memory), mask)

    def project(self, memory: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Keys and values of memory [B, K, Dm], each [B, K, heads, features / heads]."""
        return self._split(self.key(memory)), self._split(self.value(memory))

    def attend(
        self, x: jax.Array, keys: jax.Array, values: jax.Array, mask: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array]:
        """What the call gives, with keys and values from `project`."""
        queries, shape = self._split(self.query(x)), (*x.shape[:2], keys.shape[1])
        if mask is not None:
            mask = jnp.broadcast_to(each_query(mask, shape), shape)
        if self.causal:
            seen = jnp.broadcast_to(jnp.tri(*shape[1:], dtype=bool), shape)
            mask = seen if mask is None else seen & mask

        def head(query, key, value):
            return attend(dot(query, key, scaled=True), value, mask)

        y, weights = jax.vmap(head, in_axes=2, out_axes=(2, 1))(queries, keys, values)
        return self.out(y.reshape(*x.shape[:2], self.features)), weights

    def _split(self, x):
        """[B, T, features] by heads, [B, T, heads, features / heads]."""
        return x.reshape(*x.shape[:-1], self.heads, -1)
