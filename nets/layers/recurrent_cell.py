"""Recurrent cells: what they have in common, and what they are made of."""

import functools
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax
from jax.typing import DTypeLike

from nets.layers.noinline import noinline

Carry = Any
"""A NamedTuple of arrays [B, ...]; every cell has its own."""


class Cell(nn.Module):
    """What one step of a recurrent layer computes, as pure functions of its weights.

    A cell declares its weights and has no other state. `project` is the input's part and sees the
    whole sequence at once, in one matmul outside the scan; `update` is what is left for each step.
    A cell whose step is one matmul with its output h and then arithmetic that keeps the rows of
    the batch apart defines `combine` instead of `update`; such a cell can be scanned fused
    (`nets.layers.recurrent_bptt.fused_scan`). Weights whose name begins with "recurrent_kernel" are
    those that the layer's `recurrent_dropout` acts on. Fields must be hashable: they are part of
    what a layer's scan is compiled for.

    Attributes:
        features: number of units.
        input_axes: names of the axes of one step's input, after the batch's.
    """

    input_axes: ClassVar[tuple[str, ...]] = ("D",)

    features: int

    def weights(self, shape: tuple[int, ...], dtype: DTypeLike) -> dict[str, jax.Array]:
        """Declares the weights, of type `dtype`, for inputs of this shape, [B, D].

        A compact method; the layer hands what it returns, cast to what it computes in, to the
        others.
        """
        raise NotImplementedError

    @nn.nowrap
    def project(self, weights: dict, x: jax.Array) -> jax.Array:
        """The input's part [..., G] of x [..., D], for any number of steps at once."""
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
        """What a step hands out, from the carry that it ends with."""
        return carry.h

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
        """Whether cuDNN computes the same (`nets.layers.recurrent_cudnn`)."""
        return False


def matmul(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """x [..., D] @ kernel [D, G], with the faster gradient by the kernel on a CPU.

    It comes out as [G, D] and is transposed then. Without the barrier XLA would swap the factors,
    and copy the larger one into another layout for it.
    """
    transposed = lax.optimization_barrier(kernel.T)
    return lax.dot_general(x, transposed, (((x.ndim - 1,), (1,)), ((), ())))


def gates(z: jax.Array, squash: str) -> list[jax.Array]:
    """Splits z [..., n H] into n gates: sigmoid ("s") or tanh ("t") of each, as `squash` says.

    All are one tanh, because sigmoid(x) = tanh(x / 2) / 2 + 1 / 2.
    """
    activated = jnp.split(_squash(z, squash), len(squash), axis=-1)
    return [0.5 * a + 0.5 if s == "s" else a for s, a in zip(squash, activated, strict=True)]


def _tanh_of_halved(z, squash):
    return jnp.tanh(z * _halved(z, squash))


_tanh_apart = noinline(_tanh_of_halved, static_argnums=(1,))


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
@functools.partial(jax.jit, static_argnums=1)  # outside of one, it would be compiled at each call
def _squash(z, squash):
    # a CPU would fuse it with the slices of its result, and then go entry by entry
    return lax.platform_dependent(
        z,
        cpu=lambda z: _tanh_apart(z, squash),
        default=lambda z: _tanh_of_halved(z, squash),
    )


@_squash.defjvp
def _squash_jvp(squash, primals, tangents):
    a = _tanh_of_halved(primals[0], squash)  # kept for the way back, and so not fused
    return a, (_halved(a, squash) * (1 - a * a)) * tangents[0]  # one factor to keep


def _halved(z, squash):
    factors = [0.5 if s == "s" else 1.0 for s in squash]
    return np.repeat(np.array(factors, z.dtype), z.shape[-1] // len(squash)).reshape(
        (1,) * (z.ndim - 1) + (-1,)
    )


@jax.custom_jvp
def tanh(x: jax.Array) -> jax.Array:
    """tanh, whose derivative is one factor made going forward."""
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
    """Declares scale (ones) and bias (zeros), each [size], for the cell's `layer_norm`."""
    ones, zeros = nn.initializers.ones, nn.initializers.zeros
    return {
        f"{name}_scale": cell.param(f"{name}_scale", ones, (size,), dtype),
        f"{name}_bias": cell.param(f"{name}_bias", zeros, (size,), dtype),
    }


def layer_norm(weights: dict, name: str, x: jax.Array) -> jax.Array:
    """Layer normalisation of x [..., D] over its last axis (Ba et al. 2016).

        (x - mean) / sqrt(variance + 1e-6) * scale + bias

    by the scale and bias that `norm_weights` declared under this name; x itself where it declared
    none. Mean and variance are float32 at least.
    """
    if f"{name}_scale" not in weights:
        return x
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    centred = wide - wide.mean(-1, keepdims=True)
    inverse = lax.rsqrt(jnp.square(centred).mean(-1, keepdims=True) + 1e-6)
    y = per_unit_scale(centred * inverse, weights[f"{name}_scale"])
    return add_bias(y, weights[f"{name}_bias"]).astype(x.dtype)


def orthogonal_gates(
    key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike, parts: int | None = None
) -> jax.Array:
    """Initialiser [..., n H]: an orthogonal matrix for each of the n gates (Saxe et al. 2014).

    Each is [P, H], P being all axes but the last; square unless n is given, as `parts`.
    """
    init, parts = nn.initializers.orthogonal(), parts or shape[-1] // shape[0]
    keys, shape = jax.random.split(key, parts), (*shape[:-1], shape[-1] // parts)
    return jnp.concatenate([init(k, shape, dtype) for k in keys], axis=-1)


def scaled_identity(scale: float) -> nn.initializers.Initializer:
    """Initialiser [H, H]: `scale` times the identity."""

    def init(key, shape, dtype):
        return scale * jnp.eye(*shape, dtype=dtype)

    return init


def chrono_bias(
    key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike, longest: int
) -> jax.Array:
    """Biases by which gates keep what they have for a time (Tallec and Ollivier 2018).

        log u,    u uniform in [1, longest - 1] steps

    Raises:
        ValueError: `longest` is below 2.
    """
    if longest < 2:
        raise ValueError(f"chrono={longest}: the greatest time lag is at least 2 steps")
    return jnp.log(jax.random.uniform(key, shape, dtype, 1, longest - 1))


def glorot_gates(parts: int) -> nn.initializers.Initializer:
    """Initialiser [..., D, parts H]: Glorot and Bengio 2010, equation 16, for each gate by itself.

    The axes before are those of a convolution's window, whose positions both fans count.
    """

    def init(key, shape, dtype):
        limit = np.sqrt(6 / (np.prod(shape[:-2]) * (shape[-2] + shape[-1] // parts)))
        return jax.random.uniform(key, shape, dtype, -limit, limit)

    return init
