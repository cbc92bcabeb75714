"""Local attention: each query attends to a window of the memory."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.attention import expand_to_queries, masked_softmax, weighted_sum
from nets.layers.checks import check_positive


class LocalAttention(nn.Module):
    """Attention to the keys in a window around a position (Luong et al. 2015, section 3.2).

    Local-m, without `features`: the caller gives the position p, usually the index of the step.
    The weights are a softmax over the keys from p - window to p + window.

    Local-p, with `features`: the position is predicted, for a row of S keys

        p = S sigmoid(v^T tanh(W q))

    and each weight of the softmax is multiplied by exp(-(k - p)^2 / (2 sigma^2)), sigma =
    window / 2, so that the weights sum to less than 1. Keys are counted from 0.

    The calls are those of `nets.layers.attention.Attention`. All keys are scored; the window is a
    mask.

        >>> from nets.layers.attention_scores import Dot
        >>> attention, x = LocalAttention(Dot(), window=1), jnp.ones((1, 4, 3))
        >>> attention.apply({}, x[:, 0], x, x, position=jnp.zeros(1))[1].tolist()
        [[0.5, 0.5, 0.0, 0.0]]

    Attributes:
        score: one of `nets.layers.attention_scores`.
        window: number of keys on each side of the position, D in the paper.
        features: size of W q; None means local-m.
        kernel_init: initialiser of W [Dq, features] and v [features, 1].
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    score: nn.Module
    window: int
    features: int | None = None
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
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

        Both are zero where a window contains no key of its row, as for a step far past its end.

        Args:
            query: [B, ..., Dq].
            keys: [B, K, A], from `project`.
            values: [B, K, D].
            mask: [B, K] (bool), the first S keys of each row, which are not padding; None means
                all.
            position: [B, ...], for local-m only.

        Raises:
            ValueError: shapes do not fit, `window` is not positive, or `features` and a position
                are both given, or both None.
        """
        if (position is None) != (self.features is not None):
            raise ValueError(
                "position must be given if features is None, and only then, got "
                f"features={self.features} and {'no' if position is None else 'a'} position"
            )
        if mask is None:
            mask = jnp.ones(keys.shape[:2], bool)
        scores = self.score(query, keys)
        if self.features is None:
            weights = windowed_softmax(scores, position, self.window, mask)
        else:
            lengths = jnp.expand_dims(mask.sum(-1), tuple(range(1, query.ndim - 1)))
            fraction = nn.sigmoid(self.v(jnp.tanh(self.hidden(query)))[..., 0].astype(scores.dtype))
            position = lengths * fraction
            weights = windowed_softmax(scores, position, self.window, mask)
            weights = weights * gaussian(position, self.window / 2, scores.shape[-1])
        return weighted_sum(weights, values), weights


def windowed_softmax(
    scores: jax.Array, position: jax.Array, window: int, mask: jax.Array
) -> jax.Array:
    """Softmax of scores [B, ..., K] over the keys k of the mask for which |k - p| <= window.

        >>> mask = jnp.ones((1, 4), bool)
        >>> windowed_softmax(jnp.zeros((1, 4)), jnp.array([3.0]), window=1, mask=mask).tolist()
        [[0.0, 0.0, 0.5, 0.5]]

    Args:
        scores: [B, ..., K].
        position: p, [B, ...], may be fractional; no gradient passes to it.
        window: positive.
        mask: [B, K] or [B, ..., K] (bool), keys that may be attended to.

    Raises:
        ValueError: shapes do not fit, or `window` is not positive.
    """
    check_positive("window", window)
    if position.shape != scores.shape[:-1]:
        raise ValueError(
            f"position must have shape {list(scores.shape[:-1])}, got {list(position.shape)}"
        )
    near = jnp.abs(_offsets(position, scores.shape[-1])) <= window
    return masked_softmax(scores, near & expand_to_queries(mask, scores.shape))


def gaussian(position: jax.Array, sigma: float, keys: int) -> jax.Array:
    """exp(-(k - p)^2 / (2 sigma^2)), [..., keys], for k from 0 to keys - 1 and positions p [...].

    >>> gaussian(jnp.zeros((2, 3)), sigma=1.0, keys=5).shape
    (2, 3, 5)
    """
    return jnp.exp(-0.5 * jnp.square(_offsets(position, keys) / sigma))


def _offsets(position, keys):
    """k - p, [..., keys]."""
    indices = jnp.arange(keys, dtype=position.dtype)
    return jnp.expand_dims(indices, tuple(range(position.ndim))) - position[..., None]
