"""Simple recurrent cells: recurrence of the hidden layer, the output or the input."""

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
    """Carry of `Elman`: the output h [B, H]."""

    h: jax.Array


class JordanCarry(NamedTuple):
    """Carry of `Jordan`: the output y [B, Y]."""

    y: jax.Array


class TraceCarry(NamedTuple):
    """Carry of `Trace`: the trace s [B, D] of the input."""

    s: jax.Array


class Elman(Cell):
    """Recurrence of the hidden layer (Elman 1990).

        h_t = activation(x_t W + h_{t-1} R + b)

    W is `kernel` [D, H], initialised Glorot uniform, R `recurrent_kernel` [H, H], initialised
    orthogonal, b `bias` [H], initialised to zero.

    With `layer_norm` it is h_t = activation(LN(x_t W + h_{t-1} R)) (Ba et al. 2016, equation 4),
    whose scale and bias are `norm_scale` and `norm_bias` [H]; there is no b.

    >>> from nets.layers.recurrent import Recurrent
    >>> layer, x = Recurrent(Elman(16)), jnp.zeros((2, 5, 8))
    >>> jax.eval_shape(layer.init_with_output, jax.random.key(0), x)[0][0].shape
    (2, 5, 16)

    Attributes:
        features: number of units H.
        activation: nonlinearity; tanh in the paper.
        layer_norm: whether the input of the activation is normalised.
        identity: R is initialised to this multiple of the identity matrix. None means orthogonal.
        kernel_std: W is initialised normal with this standard deviation. None means Glorot uniform.
            With relu, identity=1 and kernel_std=0.001 this is the IRNN of Le et al. 2015, section
            2.
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
    """Recurrence of the output (Jordan 1986).

        h_t = activation(x_t W + y_{t-1} R + b)
        y_t = output_activation(h_t V + c)

    Jordan's state units also keep a part of their previous value; here they are y_{t-1}. W is
    `kernel` [D, H] and V `output_kernel` [H, Y], both initialised Glorot uniform, R
    `recurrent_kernel` [Y, H], initialised orthogonal, b `bias` [H] and c `output_bias` [Y],
    initialised to zero. A step is two matmuls.

    >>> from nets.layers.recurrent import Recurrent
    >>> layer, x = Recurrent(Jordan(16, outputs=4)), jnp.zeros((2, 5, 8))
    >>> jax.eval_shape(layer.init_with_output, jax.random.key(0), x)[0][0].shape
    (2, 5, 4)

    Attributes:
        features: number of hidden units H.
        outputs: number of outputs Y. None means `features`.
        activation: nonlinearity of the hidden units.
        output_activation: nonlinearity of the outputs.
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
    """Recurrence of the input: an exponential trace.

        s_t = mu * s_{t-1} + (1 - mu) * x_t    mu = sigmoid(m)
        h_t = activation(s_t W + b)

    (Stornetta, Hogg and Huberman 1988; Mozer 1993.) m is `decay` [D], initialised to zero, so that
    mu is 1/2; W is `kernel` [D, H], initialised Glorot uniform, b `bias` [H], initialised to zero.
    Each input has its own mu, so W must come after the trace: `project` is the identity, and the
    matmul is in `output`.

    >>> from nets.layers.recurrent import Recurrent
    >>> layer, x = Recurrent(Trace(16)), jnp.zeros((2, 5, 8))
    >>> jax.eval_shape(layer.init_with_output, jax.random.key(0), x)[0][0].shape
    (2, 5, 16)

    Attributes:
        features: number of units H.
        activation: nonlinearity of the units.
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
        mu = nn.sigmoid(weights["decay"].astype(carry.s.dtype))  # bfloat16 is too coarse near 1
        return TraceCarry(x + per_unit_scale(carry.s - x, mu))

    @nn.nowrap
    def output(self, weights: dict, carry: TraceCarry) -> jax.Array:
        z = carry.s.astype(weights["kernel"].dtype) @ weights["kernel"]
        return self.activation(add_bias(z, weights["bias"]))

    @nn.nowrap
    def initial_carry(self, shape: tuple[int, ...]) -> TraceCarry:
        return TraceCarry(jnp.zeros(shape))
