"""Simple recurrent networks: recurrence from the hidden layer, the output or the input."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.recurrent_cell import (
    Cell,
    add_bias,
    layer_norm,
    matmul,
    norm_weights,
    orthogonal_gates,
    per_unit_scale,
    scaled_identity,
    tanh,
)
from nets.types import Activation


class ElmanCarry(NamedTuple):
    """What a simple recurrent cell remembers: its output h [B, H]."""

    h: jax.Array


class JordanCarry(NamedTuple):
    """What a Jordan cell remembers: its output y [B, Y]."""

    y: jax.Array


class TraceCarry(NamedTuple):
    """What a trace cell remembers: the trace s [B, D] of its input."""

    s: jax.Array


class Elman(Cell):
    """Recurrence from the hidden layer (Elman 1990).

        h_t = activation(x_t W + h_{t-1} R + b)

    W is `kernel` [D, H], Glorot uniform at first, R `recurrent_kernel` [H, H], orthogonal at
    first, b `bias` [H].

    With `layer_norm` it is h_t = activation(LN(x_t W + h_{t-1} R)) (Ba et al. 2016, equation 4),
    whose scale and bias are `norm_scale` and `norm_bias` [H]; there is no b.

    Attributes:
        features: number of units H.
        activation: tanh as published.
        layer_norm: whether what enters the activation is normalised.
        identity: R starts as this multiple of the identity matrix instead.
        kernel_std: W starts normal with this standard deviation instead; with relu, identity=1 and
            kernel_std=0.001 it is the IRNN of Le et al. 2015, section 2.
    """

    activation: Activation = tanh
    layer_norm: bool = False
    identity: float | None = None
    kernel_std: float | None = None

    @nn.compact
    def weights(self, shape: tuple[int, ...], dtype: DTypeLike) -> dict[str, jax.Array]:
        h, init, std = self.features, nn.initializers, self.kernel_std
        kernel = init.glorot_uniform() if std is None else init.normal(std)
        recurrent = orthogonal_gates if self.identity is None else scaled_identity(self.identity)
        weights = {
            "kernel": self.param("kernel", kernel, (shape[-1], h), dtype),
            "recurrent_kernel": self.param("recurrent_kernel", recurrent, (h, h), dtype),
        }
        if self.layer_norm:
            return weights | norm_weights(self, "norm", h, dtype)
        return weights | {"bias": self.param("bias", nn.initializers.zeros, (h,), dtype)}

    @nn.nowrap
    def project(self, weights: dict, x: jax.Array) -> jax.Array:
        return matmul(x, weights["kernel"]) if self.layer_norm else super().project(weights, x)

    @nn.nowrap
    def combine(self, weights: dict, carry: ElmanCarry, z: jax.Array, x: jax.Array) -> ElmanCarry:
        """The next carry, from z = h_{t-1} R and the projected input, each [B, H]."""
        return ElmanCarry(self.activation(layer_norm(weights, "norm", x + z)))

    @nn.nowrap
    def initial_carry(self, shape: tuple[int, ...]) -> ElmanCarry:
        return ElmanCarry(jnp.zeros((*shape[:-1], self.features)))


class Jordan(Cell):
    """Recurrence from the output (Jordan 1986), which is what the cell hands out.

        h_t = activation(x_t W + y_{t-1} R + b)
        y_t = output_activation(h_t V + c)

    Jordan's state units also keep a part of what they held; here they are y_{t-1}. W is `kernel`
    [D, H] and V `output_kernel` [H, Y], Glorot uniform at first, R `recurrent_kernel` [Y, H],
    orthogonal at first, b `bias` [H], c `output_bias` [Y]. A step is two matmuls.

    Attributes:
        features: number of hidden units H.
        outputs: number of outputs Y; none is `features`.
        activation: of the hidden units.
        output_activation: of the outputs.
    """

    outputs: int | None = None
    activation: Activation = tanh
    output_activation: Activation = tanh

    @nn.compact
    def weights(self, shape: tuple[int, ...], dtype: DTypeLike) -> dict[str, jax.Array]:
        h, y = self.features, self.output_features
        glorot, zeros = nn.initializers.glorot_uniform(), nn.initializers.zeros
        orthogonal = functools.partial(orthogonal_gates, parts=1)
        return {
            "kernel": self.param("kernel", glorot, (shape[-1], h), dtype),
            "recurrent_kernel": self.param("recurrent_kernel", orthogonal, (y, h), dtype),
            "bias": self.param("bias", zeros, (h,), dtype),
            "output_kernel": self.param("output_kernel", glorot, (h, y), dtype),
            "output_bias": self.param("output_bias", zeros, (y,), dtype),
        }

    @nn.nowrap
    def update(self, weights: dict, carry: JordanCarry, x: jax.Array) -> JordanCarry:
        h = self.activation(x + carry.y.astype(x.dtype) @ weights["recurrent_kernel"])
        y = add_bias(h @ weights["output_kernel"], weights["output_bias"])
        return JordanCarry(self.output_activation(y))

    @nn.nowrap
    def output(self, weights: dict, carry: JordanCarry) -> jax.Array:
        return carry.y

    @nn.nowrap
    def initial_carry(self, shape: tuple[int, ...]) -> JordanCarry:
        return JordanCarry(jnp.zeros((*shape[:-1], self.output_features)))

    @property
    def output_features(self) -> int:
        return self.features if self.outputs is None else self.outputs


class Trace(Cell):
    """Recurrence at the input layer, an exponential trace of each input.

        s_t = mu * s_{t-1} + (1 - mu) * x_t    mu = sigmoid(m)
        h_t = activation(s_t W + b)

    (Stornetta, Hogg and Huberman 1988; Mozer 1993.) m is `decay` [D], zero at first, so that mu is
    1/2; W is `kernel` [D, H], Glorot uniform at first, b `bias` [H]. The trace is of the input
    itself, each unit with a mu of its own, so that W must come after it: `project` changes
    nothing, and the matmul is in `output`.

    Attributes:
        features: number of units H.
        activation: of the units.
    """

    activation: Activation = tanh

    @nn.compact
    def weights(self, shape: tuple[int, ...], dtype: DTypeLike) -> dict[str, jax.Array]:
        d, h = shape[-1], self.features
        glorot, zeros = nn.initializers.glorot_uniform(), nn.initializers.zeros
        return {
            "decay": self.param("decay", zeros, (d,), dtype),
            "kernel": self.param("kernel", glorot, (d, h), dtype),
            "bias": self.param("bias", zeros, (h,), dtype),
        }

    @nn.nowrap
    def project(self, weights: dict, x: jax.Array) -> jax.Array:
        return x

    @nn.nowrap
    def update(self, weights: dict, carry: TraceCarry, x: jax.Array) -> TraceCarry:
        mu = nn.sigmoid(weights["decay"].astype(carry.s.dtype))  # near 1, bfloat16 is too coarse
        return TraceCarry(x + per_unit_scale(carry.s - x, mu))

    @nn.nowrap
    def output(self, weights: dict, carry: TraceCarry) -> jax.Array:
        z = carry.s.astype(weights["kernel"].dtype) @ weights["kernel"]
        return self.activation(add_bias(z, weights["bias"]))

    @nn.nowrap
    def initial_carry(self, shape: tuple[int, ...]) -> TraceCarry:
        return TraceCarry(jnp.zeros(shape))
