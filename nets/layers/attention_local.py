"""Local attention: a window of the memory at a time."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.attention import each_query, masked_softmax, weighted_sum


class LocalAttention(nn.Module):
    """Attention to the keys within a window about a position (Luong et al. 2015, section 3.2).

    Local-m, without `features`: the position p is the caller's, that of the step as a rule. The
    weights are a softmax over the keys at p - window to p + window, those of the row.

    Local-p, with `features`: the position is predicted, for a row of S keys

        p = S sigmoid(v^T tanh(W q))

    and each weight of that softmax is multiplied by exp(-(k - p)^2 / (2 sigma^2)), sigma =
    window / 2, whose sum is below one then. Keys are counted from 0.

    It is called as `nets.layers.attention.Attention` is. All keys are scored; the window is a mask.

    Attributes:
        score: one of `nets.layers.attention_scores`.
        window: the paper's D, keys to either side.
        features: size of W q; none is local-m.
        kernel_init: initialiser of W [Dq, features] and v [features, 1].
        dtype: what it computes in.
        param_dtype: what it stores.
    """

    score: nn.Module
    window: int
    features: int | None = None
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self):
        if self.features is not None:
            options = {
                "use_bias": False,
                "kernel_init": self.kernel_init,
                "dtype": self.dtype,
                "param_dtype": self.param_dtype,
            }
            self.hidden = nn.Dense(self.features, **options)
            self.v = nn.Dense(1, **options)

    def project(self, memory: jax.Array) -> jax.Array:
        """Keys [B, K, A] of memory [B, K, Dk]."""
        return self.score.project(memory)

    def __call__(
        self,
        query: jax.Array,
        keys: jax.Array,
        values: jax.Array,
        mask: jax.Array | None = None,
        position: jax.Array | None = None,
    ) -> tuple[jax.Array, jax.Array]:
        """Contexts [B, ..., D] and weights [B, ..., K], float32 at least.

        Where a window holds no key of its row, as that of a step far past the row's end, both are
        zeros.

        Args:
            query: [B, ..., Dq].
            keys: [B, K, A], from `project`.
            values: [B, K, D].
            mask: [B, K] (bool), the S keys that each row has, which come first; all if none.
            position: [B, ...], for local-m alone.

        Raises:
            ValueError: shapes do not fit, `window` is not above 0, or there is a position where it
                is predicted, or none where it is not.
        """
        if (position is None) != (self.features is not None):
            raise ValueError(
                f"features={self.features} and position={_given(position)}: one of them is needed, "
                "and not both"
            )
        if mask is None:
            mask = jnp.ones(keys.shape[:2], bool)
        scores = self.score(query, keys)
        if self.features is None:
            weights = windowed_softmax(scores, position, self.window, mask)
        else:
            lengths = jnp.expand_dims(mask.sum(-1), tuple(range(1, query.ndim - 1)))
            share = nn.sigmoid(self.v(jnp.tanh(self.hidden(query)))[..., 0].astype(scores.dtype))
            position = lengths * share
            weights = windowed_softmax(scores, position, self.window, mask)
            weights = weights * gaussian(position, self.window / 2, scores.shape[-1])
        return weighted_sum(weights, values), weights


def windowed_softmax(
    scores: jax.Array, position: jax.Array, window: int, mask: jax.Array
) -> jax.Array:
    """Softmax of scores [B, ..., K] over the keys k of the mask for which |k - p| <= window.

    Args:
        scores: [B, ..., K].
        position: p, [B, ...], whole or not; no gradient passes to it.
        window: above 0.
        mask: [B, K] or [B, ..., K] (bool), keys that may be looked at.

    Raises:
        ValueError: shapes do not fit, or `window` is not above 0.
    """
    if window <= 0:
        raise ValueError(f"window={window}: valid are numbers above 0")
    if position.shape != scores.shape[:-1]:
        raise ValueError(f"position {position.shape} does not fit scores {scores.shape}")
    near = jnp.abs(_offsets(position, scores.shape[-1])) <= window
    return masked_softmax(scores, near & each_query(mask, scores.shape))


def gaussian(position: jax.Array, sigma: float, keys: int) -> jax.Array:
    """exp(-(k - p)^2 / (2 sigma^2)) for k below `keys`, [..., keys], of the position p [...]."""
    return jnp.exp(-0.5 * jnp.square(_offsets(position, keys) / sigma))


def _offsets(position, keys):
    """k - p, [..., keys]."""
    each = jnp.arange(keys, dtype=position.dtype)
    return jnp.expand_dims(each, tuple(range(position.ndim))) - position[..., None]


def _given(position):
    return None if position is None else position.shape
