"""The base class of recurrent cells, and functions that cells are built from."""

import functools
from collections.abc import Iterable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax
from jax.typing import DTypeLike

from nets.layers.checks import check_at_least
from nets.layers.noinline import noinline
from nets.layers.precision import at_least_float32

Carry = Any
"""A NamedTuple of arrays [B, ...]; each cell defines its own."""


class Cell(nn.Module):
    """One step of a recurrent layer, as pure functions of its weights.

    A cell declares its weights and has no other state. `project` maps the inputs of all steps in
    one matmul outside the scan; `update` is the rest of one step. A cell whose step is one matmul
    h_{t-1} R followed by operations that do not mix rows of the batch defines `combine` instead of
    `update`; it can run with the fused backend (`nets.layers.recurrent_bptt.fused_scan`). A layer's
    `recurrent_dropout` acts on weights whose name begins with "recurrent_kernel". Fields must be
    hashable: they are part of the key of a compiled scan.

    Attributes:
        features: number of units.
        input_axes: names of the axes of one step's input, after the batch axis.
    """

    input_axes: ClassVar[tuple[str, ...]] = ("D",)

    features: int

    def weights(self, shape: tuple[int, ...], dtype: DTypeLike) -> dict[str, jax.Array]:
        """Declares the weights, with dtype `dtype`, for inputs of this shape in one step, [B, D].

        A compact method. The layer casts the result to its computation dtype and passes it to the
        other methods.
        """
        raise NotImplementedError

    @nn.nowrap
    def project(self, weights: dict, x: jax.Array) -> jax.Array:
        """Projects inputs [..., D] of any number of steps to [..., G], or to a tuple of such."""
        return add_bias(matmul(x, weights["kernel"]), weights["bias"])

    @nn.nowrap
    def update(self, weights: dict, carry: Carry, x: jax.Array) -> Carry:
        """The next carry, from the projected input [B, G]."""
        z = carry.h.astype(x.dtype) @ weights["recurrent_kernel"]
        return self.combine(weights, carry, z, x)

    @nn.nowrap
    def combine(self, weights: dict, carry: Carry, z: jax.Array, x: jax.Array) -> Carry:
        """The next carry, from z = h_{t-1} R and the projected input x, each [B, G]."""
        raise NotImplementedError

    @nn.nowrap
    def output(self, weights: dict, carry: Carry) -> jax.Array:
        """The output of a step, from the carry after it."""
        return carry.h

    @nn.nowrap
    def attention(self, carry: Carry) -> jax.Array:
        """The attention [B, K] of a step to the K latest steps, the newest, itself, last.

        From the carry after it; K is 0 for a cell without attention.
        """
        return jnp.zeros((len(jax.tree.leaves(carry)[0]), 0))

    @nn.nowrap
    def traces(self, carry: Carry) -> dict[str, jax.Array]:
        """The memory after a step, as pictures show it: [B, C] each by its name.

        From the carry after it; nothing for a cell that has only units.
        """
        return {}

    @nn.nowrap
    def initial_carry(self, shape: tuple[int, ...]) -> Carry:
        """The carry before the first step, zeros, for inputs of this shape in one step, [B, D].

        A layer casts it to its `param_dtype`.
        """
        raise NotImplementedError

    @property
    def output_features(self) -> int:
        """Size of the last axis of an output."""
        return self.features

    @property
    def fusable(self) -> bool:
        """Whether a step is one matmul and `combine`."""
        return type(self).combine is not Cell.combine

    @property
    def cudnn(self) -> bool:
        """Whether cuDNN supports this cell (`nets.layers.recurrent_cudnn`)."""
        return False


def layer_traces(cell: Cell, carries: Iterable[Carry]) -> dict[str, jax.Array]:
    """The traces of a cell's carries, one of each layer; from the second on their names tell it."""
    return {
        f"{name}, layer {i}" if i else name: trace
        for i, carry in enumerate(carries)
        for name, trace in cell.traces(carry).items()
    }


def matmul(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """x [..., D] @ kernel [D, G], with a faster gradient by the kernel on a CPU.

    The gradient is computed as [G, D] and then transposed. Without the barrier XLA would swap the
    factors and copy the larger one into another layout.

        >>> matmul(jnp.ones((2, 5, 3)), jnp.ones((3, 4))).shape
        (2, 5, 4)
    """
    transposed = lax.optimization_barrier(kernel.T)
    return lax.dot_general(x, transposed, (((x.ndim - 1,), (1,)), ((), ())))


def gates(z: jax.Array, squash: str) -> list[jax.Array]:
    """Splits z [..., n H] into n gates; letter i of `squash` is "s" for sigmoid, "t" for tanh.

    All are computed by one tanh, because sigmoid(x) = tanh(x / 2) / 2 + 1 / 2.

        >>> [gate.tolist() for gate in gates(jnp.zeros(2), "st")]
        [[0.5], [0.0]]
    """
    activated = jnp.split(_squash(z, squash), len(squash), axis=-1)
    return [0.5 * a + 0.5 if s == "s" else a for s, a in zip(squash, activated, strict=True)]


def _tanh_of_halved(z, squash):
    return jnp.tanh(z * _halved(z, squash))


_tanh_not_inlined = noinline(_tanh_of_halved, static_argnums=(1,))


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
@functools.partial(jax.jit, static_argnums=1)  # without it, each eager call would compile
def _squash(z, squash):
    # XLA on a CPU would fuse it with the slices of its result, which prevents vectorisation
    return lax.platform_dependent(
        z,
        cpu=lambda z: _tanh_not_inlined(z, squash),
        default=lambda z: _tanh_of_halved(z, squash),
    )


@_squash.defjvp
def _squash_jvp(squash, primals, tangents):
    a = _tanh_of_halved(primals[0], squash)  # saved for the backward pass, so never fused
    return a, (_halved(a, squash) * (1 - a * a)) * tangents[0]  # one factor is saved


def _halved(z, squash):
    factors = [0.5 if s == "s" else 1.0 for s in squash]
    return np.repeat(np.array(factors, z.dtype), z.shape[-1] // len(squash)).reshape(
        (1,) * (z.ndim - 1) + (-1,)
    )


@jax.custom_jvp
def tanh(x: jax.Array) -> jax.Array:
    """tanh, whose forward pass saves one factor, the derivative."""
    return jnp.tanh(x)


@tanh.defjvp
def _tanh_jvp(primals, tangents):
    y = jnp.tanh(primals[0])
    return y, (1 - y * y) * tangents[0]


def add_bias(x: jax.Array, bias: jax.Array) -> jax.Array:
    """x [..., D] + bias [D]."""
    return x + bias.reshape((1,) * (x.ndim - 1) + (-1,))


def per_unit_scale(x: jax.Array, scale: jax.Array) -> jax.Array:
    """x [..., *S] * scale [*S], each unit by its own weight."""
    return x * scale.reshape((1,) * (x.ndim - scale.ndim) + scale.shape)


def norm_weights(cell: Cell, name: str, size: int, dtype: DTypeLike) -> dict[str, jax.Array]:
    """Declares a scale of ones and a bias of zeros, each [size], for `layer_norm`."""
    ones, zeros = nn.initializers.ones, nn.initializers.zeros
    return {
        f"{name}_scale": cell.param(f"{name}_scale", ones, (size,), dtype),
        f"{name}_bias": cell.param(f"{name}_bias", zeros, (size,), dtype),
    }


def layer_norm(weights: dict, name: str, x: jax.Array) -> jax.Array:
    """Layer normalisation of x [..., D] over its last axis (Ba et al. 2016).

        (x - mean) / sqrt(variance + 1e-6) * scale + bias

    with the scale and bias that `norm_weights` declared under this name; without them, x. Mean and
    variance are float32 at least.
    """
    if f"{name}_scale" not in weights:
        return x
    wide = at_least_float32(x)
    centred = wide - wide.mean(-1, keepdims=True)
    inverse = lax.rsqrt(jnp.square(centred).mean(-1, keepdims=True) + 1e-6)
    y = per_unit_scale(centred * inverse, weights[f"{name}_scale"])
    return add_bias(y, weights[f"{name}_bias"]).astype(x.dtype)


def orthogonal_gates(
    key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike, parts: int | None = None
) -> jax.Array:
    """Initialiser [..., n H]: an orthogonal matrix for each of the n gates (Saxe et al. 2014).

    Each is [P, H], where P is the product of all axes but the last. n is `parts`; None means that
    the matrices are square.

        >>> orthogonal_gates(jax.random.key(0), (2, 8), jnp.float32).shape
        (2, 8)
    """
    init, parts = nn.initializers.orthogonal(), parts or shape[-1] // shape[0]
    keys, shape = jax.random.split(key, parts), (*shape[:-1], shape[-1] // parts)
    return jnp.concatenate([init(k, shape, dtype) for k in keys], axis=-1)


def scaled_identity(scale: float) -> nn.initializers.Initializer:
    """Initialiser [H, H]: `scale` times the identity.

    >>> scaled_identity(2.0)(jax.random.key(0), (2, 2), jnp.float32).tolist()
    [[2.0, 0.0], [0.0, 2.0]]
    """

    def init(key, shape, dtype):
        return scale * jnp.eye(*shape, dtype=dtype)

    return init


def chrono_bias(
    key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike, longest: int
) -> jax.Array:
    """Biases for time lags of up to `longest` steps, "chrono" (Tallec and Ollivier 2018).

        log u,    u uniform in [1, longest - 1] steps

        >>> chrono_bias(jax.random.key(0), (3,), jnp.float32, longest=2).tolist()
        [0.0, 0.0, 0.0]

    Raises:
        ValueError: `longest`, the field `chrono` of a cell, is below 2.
    """
    check_at_least("chrono", longest, 2)
    return jnp.log(jax.random.uniform(key, shape, dtype, 1, longest - 1))


def glorot_gates(parts: int) -> nn.initializers.Initializer:
    """Initialiser [..., D, parts H]: Glorot and Bengio 2010, equation 16, for each gate.

    Axes before D are those of a convolution's window; its positions count in both fans.

        >>> glorot_gates(4)(jax.random.key(0), (3, 8), jnp.float32).shape
        (3, 8)
    """

    def init(key, shape, dtype):
        limit = np.sqrt(6 / (np.prod(shape[:-2]) * (shape[-2] + shape[-1] // parts)))
        return jax.random.uniform(key, shape, dtype, -limit, limit)

    return init
