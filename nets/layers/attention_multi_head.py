"""Multi-head attention, of a sequence to itself or to another."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.attention import attend, expand_to_queries
from nets.layers.attention_scores import dot
from nets.layers.checks import check_at_least


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
        kernel_init: initialiser of each kernel.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    features: int
    heads: int
    causal: bool = False
    use_bias: bool = True
    kernel_init: nn.initializers.Initializer = nn.initializers.xavier_uniform()
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        check_at_least("heads", self.heads, 1)
        if self.features % self.heads:
            raise ValueError(f"heads must divide features={self.features}, got {self.heads}")
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
            memory: [B, K, Dm]; None means x.
            mask: [B, K] or [B, Q, K] (bool), keys that may be attended to; None means all.

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
        """The call's results, from keys and values that `project` computed."""
        queries, shape = self._split(self.query(x)), (*x.shape[:2], keys.shape[1])
        if mask is not None:
            mask = jnp.broadcast_to(expand_to_queries(mask, shape), shape)
        if self.causal:
            past = jnp.broadcast_to(jnp.tri(*shape[1:], dtype=bool), shape)
            mask = past if mask is None else past & mask

        def head(query, key, value):
            return attend(dot(query, key, scaled=True), value, mask)

        y, weights = jax.vmap(head, in_axes=2, out_axes=(2, 1))(queries, keys, values)
        return self.out(y.reshape(*x.shape[:2], self.features)), weights

    def _split(self, x):
        """[B, T, features] split into heads, [B, T, heads, features / heads]."""
        return x.reshape(*x.shape[:-1], self.heads, -1)
