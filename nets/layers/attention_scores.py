"""Scores [B, ..., K] of queries [B, ..., Dq] against the K keys of each row.

Each module has two parts. `project` maps the memory [B, K, Dk] to keys, once for a whole scan over
a decoder's steps; the call scores them, and is what is left for each step. Scores are float32 at
least.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike


class Dot(nn.Module):
    """q^T k (Luong et al. 2015, section 3.1); it has no weights, and the keys are the memory.

    Attributes:
        scaled: whether it is divided by sqrt(D) (Vaswani et al. 2017, equation 1).
        dtype: what it computes in.
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

    Attributes:
        features: size of the query Dq; the kernel, W^T, is [Dk, Dq].
        kernel_init: initialiser of W^T.
        dtype: what it computes in.
        param_dtype: what it stores.
    """

    features: int
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self):
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

    With a coverage c, what each key has had before, it is v^T tanh(W q + U m + w c + b) (See et al.
    2017, equation 11).

    Attributes:
        features: size A of what is between: W is [Dq, A], U [Dk, A], v and w [A].
        use_bias: whether there is b, as See et al. have, and Bahdanau et al. have not.
        kernel_init: initialiser of W, U, w [1, A] and v [A, 1].
        dtype: what it computes in.
        param_dtype: what it stores.
    """

    features: int
    use_bias: bool = False
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self):
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
            coverage: [B, ..., K]; a model either always or never has it, for w is declared by it.

        Raises:
            ValueError: shapes do not fit.
        """
        query = self.query(query)
        _check(query, keys)
        if coverage is not None and coverage.shape != (*query.shape[:-1], keys.shape[1]):
            raise ValueError(
                f"coverage {coverage.shape} does not fit query {query.shape} and keys {keys.shape}:"
                f" {(*query.shape[:-1], keys.shape[1])} is valid"
            )
        extra = None if coverage is None else self.coverage(coverage[..., None])
        return additive(query, keys, self.v[:, 0].astype(query.dtype), extra)


def dot(query: jax.Array, keys: jax.Array, scaled: bool = False) -> jax.Array:
    """q^T k, over sqrt(D) if `scaled`: [B, ..., K] of query [B, ..., D] and keys [B, K, D].

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

    Args:
        query: q, projected, [B, ..., A].
        keys: k, projected, [B, K, A].
        v: [A].
        extra: x, [B, ..., K, A]; none is zeros.

    Raises:
        ValueError: shapes do not fit.
    """
    _check(query, keys)
    return _additive(query, keys, v, extra)


@functools.partial(jax.checkpoint, prevent_cse=False)  # it is for scans, which need no such barrier
def _additive(query, keys, v, extra):
    """Its tanh [B, ..., K, A] is computed again going back, which costs less than to keep it."""
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
    fit = query.ndim >= 2 and keys.ndim == 3 and query.shape[0] == keys.shape[0]
    if not fit or query.shape[-1] != keys.shape[-1]:
        raise ValueError(
            f"query {query.shape} does not fit keys {keys.shape}: [B, ..., D] and [B, K, D] are "
            "valid"
        )
