"""Scores [B, ..., K] of queries [B, ..., Dq] and the K keys of each row.

Each module has two methods: `project` maps the memory [B, K, Dk] to keys, once before the scan
over a decoder's steps; the call scores the keys in each step. Scores are float32 at least.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike


class Dot(nn.Module):
    """q^T k (Luong et al. 2015, section 3.1); no parameters, the keys are the memory.

        >>> Dot().apply({}, jnp.ones((2, 3)), jnp.ones((2, 5, 3))).shape
        (2, 5)

    Attributes:
        scaled: whether scores are divided by sqrt(D) (Vaswani et al. 2017, equation 1).
        dtype: computation dtype.
    """

    scaled: bool = False
    dtype: DTypeLike = jnp.float32

    def project(self, memory: jax.Array) -> jax.Array:
        """The memory itself, [B, K, D], in `dtype`."""
        return jnp.asarray(memory, self.dtype)

    def __call__(self, query: jax.Array, keys: jax.Array) -> jax.Array:
        """Scores [B, ..., K] of query [B, ..., D] and keys [B, K, D].

        Raises:
            ValueError: shapes do not fit.
        """
        return dot(jnp.asarray(query, self.dtype), keys, self.scaled)


class General(nn.Module):
    """q^T W m (Luong et al. 2015, section 3.1); the keys are W m.

        >>> score, memory = General(features=3), jnp.ones((2, 5, 4))
        >>> project = functools.partial(score.init_with_output, method="project")
        >>> jax.eval_shape(project, jax.random.key(0), memory)[0].shape
        (2, 5, 3)

    Attributes:
        features: size of the query Dq; the kernel, W^T, is [Dk, Dq].
        kernel_init: initialiser of W^T.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    features: int
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        self.key = _linear(self)

    def project(self, memory: jax.Array) -> jax.Array:
        """Keys [B, K, Dq] of memory [B, K, Dk]."""
        return self.key(memory)

    def __call__(self, query: jax.Array, keys: jax.Array) -> jax.Array:
        """Scores [B, ..., K] of query [B, ..., Dq] and keys [B, K, Dq].

        Raises:
            ValueError: shapes do not fit.
        """
        return dot(jnp.asarray(query, self.dtype), keys)


class Additive(nn.Module):
    """v^T tanh(W q + U m + b) (Bahdanau et al. 2015, appendix A.1.2); the keys are U m + b.

    With a coverage c, the sum of each key's earlier weights, it is v^T tanh(W q + U m + w c + b)
    (See et al. 2017, equation 11).

        >>> score, q, keys = Additive(features=4), jnp.ones((2, 3)), jnp.ones((2, 5, 4))
        >>> jax.eval_shape(score.init_with_output, jax.random.key(0), q, keys)[0].shape
        (2, 5)

    Attributes:
        features: size A of the hidden layer: W is [Dq, A], U [Dk, A], v and w [A].
        use_bias: whether there is b, as in See et al.; Bahdanau et al. have none.
        kernel_init: initialiser of W, U, w [1, A] and v [A, 1].
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    features: int
    use_bias: bool = False
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        self.query, self.coverage = _linear(self), _linear(self)
        self.key = _linear(self, self.use_bias)
        self.v = self.param("v", self.kernel_init, (self.features, 1), self.param_dtype)

    def project(self, memory: jax.Array) -> jax.Array:
        """Keys [B, K, A] of memory [B, K, Dk]."""
        return self.key(memory)

    def __call__(
        self, query: jax.Array, keys: jax.Array, coverage: jax.Array | None = None
    ) -> jax.Array:
        """Scores [B, ..., K] of query [B, ..., Dq] and keys [B, K, A].

        Args:
            query: [B, ..., Dq].
            keys: [B, K, A], from `project`.
            coverage: [B, ..., K]; w exists only if it is given at initialisation.

        Raises:
            ValueError: shapes do not fit.
        """
        query = self.query(query)
        _check(query, keys)
        shape = (*query.shape[:-1], keys.shape[1])
        if coverage is not None and coverage.shape != shape:
            raise ValueError(
                f"coverage must have shape {list(shape)}, that of the scores, "
                f"got {list(coverage.shape)}"
            )
        extra = None if coverage is None else self.coverage(coverage[..., None])
        return additive(query, keys, self.v[:, 0].astype(query.dtype), extra)


def dot(query: jax.Array, keys: jax.Array, scaled: bool = False) -> jax.Array:
    """q^T k, divided by sqrt(D) if `scaled`: [B, ..., K] of query [B, ..., D] and keys [B, K, D].

        >>> dot(jnp.ones((1, 4)), jnp.ones((1, 2, 4)), scaled=True).tolist()
        [[2.0, 2.0]]

    Raises:
        ValueError: shapes do not fit.
    """
    _check(query, keys)
    if scaled:
        query = query * query.shape[-1] ** -0.5
    return jnp.einsum("b...d,bkd->b...k", query, keys, preferred_element_type=_wide(query))


def additive(
    query: jax.Array, keys: jax.Array, v: jax.Array, extra: jax.Array | None = None
) -> jax.Array:
    """v^T tanh(q + k + x), [B, ..., K].

        >>> additive(jnp.zeros((1, 4)), jnp.zeros((1, 2, 4)), jnp.ones(4)).tolist()
        [[0.0, 0.0]]

    Args:
        query: q, projected, [B, ..., A].
        keys: k, projected, [B, K, A].
        v: [A].
        extra: x, [B, ..., K, A]; None means zeros.

    Raises:
        ValueError: shapes do not fit.
    """
    _check(query, keys)
    return _additive(query, keys, v, extra)


@functools.partial(jax.checkpoint, prevent_cse=False)  # inside a scan the barrier is not needed
def _additive(query, keys, v, extra):
    """The tanh [B, ..., K, A] is recomputed in the backward pass: cheaper than saving it."""
    keys = jnp.expand_dims(keys, tuple(range(1, query.ndim - 1)))
    z = query[..., None, :] + keys
    z = jnp.tanh(z if extra is None else z + extra)
    return jnp.einsum("...a,a->...", z, v, preferred_element_type=_wide(query))


def _linear(module: nn.Module, use_bias: bool = False) -> nn.Dense:
    return nn.Dense(
        module.features,
        use_bias,
        kernel_init=module.kernel_init,
        dtype=module.dtype,
        param_dtype=module.param_dtype,
    )


def _wide(x: jax.Array) -> jnp.dtype:
    return jnp.promote_types(x.dtype, jnp.float32)


def _check(query: jax.Array, keys: jax.Array) -> None:
    same_rows = query.ndim >= 2 and keys.ndim == 3 and query.shape[0] == keys.shape[0]
    if not same_rows or query.shape[-1] != keys.shape[-1]:
        raise ValueError(
            "query and keys must be [B, ..., D] and [B, K, D], "
            f"got {list(query.shape)} and {list(keys.shape)}"
        )
