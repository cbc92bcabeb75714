"""Gated recurrent units."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.checks import check_choice
from nets.layers.recurrent_cell import (
    Cell,
    add_bias,
    chrono_bias,
    gates,
    glorot_gates,
    layer_norm,
    matmul,
    norm_weights,
    orthogonal_gates,
    tanh,
)

UpdateGate = Literal["keep", "replace"]
Reset = Literal["after", "before"]


class GRUCarry(NamedTuple):
    """Carry of `GRU` and `MGU`: the output h [B, H]."""

    h: jax.Array


class GRU(Cell):
    """Gated recurrent unit whose reset gate acts after the matmul, as in cuDNN and torch.

        r, z = sigmoid(x_t W_rz + h_{t-1} R_rz + b_rz)
        n = tanh(x_t W_n + b_n + r * (h_{t-1} R_n + a))
        h_t = z * h_{t-1} + (1 - z) * n

    W is `kernel` [D, 3H], R `recurrent_kernel` [H, 3H], b `bias` [3H], a `recurrent_bias` [H];
    their columns are the gates in the order r z n. Each gate of W is initialised as in Glorot and
    Bengio 2010, each of R orthogonal, b and a to zero (but see `chrono`).

    With `reset="before"` r acts on h_{t-1}, as in Cho et al. 2014:

        n = tanh(x_t W_n + b_n + (r * h_{t-1}) R_n)

    In this form there is no a, and a step is two matmuls.

    With `layer_norm` (Ba et al. 2016, appendix) x_t W_rz, x_t W_n, h_{t-1} R_rz and the product
    with R_n are normalised, each over its whole row and with its own scale and bias
    (`norm_x_gates`, `norm_x_candidate`, `norm_h_gates`, `norm_h_candidate`). There is no b or a.

    >>> from nets.layers.recurrent import Recurrent
    >>> layer, x = Recurrent(GRU(16, reset="before")), jnp.zeros((2, 5, 8))
    >>> jax.eval_shape(layer.init_with_output, jax.random.key(0), x)[0][0].shape
    (2, 5, 16)

    Attributes:
        features: number of units H.
        update_gate: meaning of z = 1: keep is as above (Cho et al. 2014), replace swaps z and 1 - z
            (Chung et al. 2014).
        reset: whether r acts after or before the matmul.
        layer_norm: whether the inputs of the gates are normalised.
        chrono: maximum time lag T_max in steps for chrono initialisation (Tallec and Ollivier
            2018): b_z = log u, u uniform in [1, T_max - 1], or its negative with
            update_gate="replace". None means b_z = 0.
    """

    update_gate: UpdateGate = "keep"
    reset: Reset = "after"
    layer_norm: bool = False
    chrono: int | None = None

    @nn.compact
    def weights(self, shape: tuple[int, ...], dtype: DTypeLike) -> dict[str, jax.Array]:
        """Declares the weights.

        Raises:
            ValueError: `update_gate` or `reset` is unknown, `chrono` is below 2, or `chrono` is
                used with `layer_norm`, which has no biases.
        """
        check_choice("GRU.update_gate", self.update_gate, UpdateGate)
        check_choice("GRU.reset", self.reset, Reset)
        if self.layer_norm and self.chrono is not None:
            raise ValueError(f"GRU.chrono must be None with layer_norm, got {self.chrono}")
        h, zeros = self.features, nn.initializers.zeros
        weights = {
            "kernel": self.param("kernel", glorot_gates(3), (shape[-1], 3 * h), dtype),
            "recurrent_kernel": self.param("recurrent_kernel", orthogonal_gates, (h, 3 * h), dtype),
        }
        if self.layer_norm:
            for side in "x", "h":
                weights |= norm_weights(self, f"norm_{side}_gates", 2 * h, dtype)
                weights |= norm_weights(self, f"norm_{side}_candidate", h, dtype)
            return weights
        weights["bias"] = self.param("bias", self.initial_bias, (3 * h,), dtype)
        if self.reset == "after":
            weights["recurrent_bias"] = self.param("recurrent_bias", zeros, (h,), dtype)
        return weights

    @nn.nowrap
    def project(self, weights: dict, x: jax.Array) -> jax.Array:
        if not self.layer_norm:
            return super().project(weights, x)
        rz, n = self._split(matmul(x, weights["kernel"]))
        rz = layer_norm(weights, "norm_x_gates", rz)
        n = layer_norm(weights, "norm_x_candidate", n)
        return jnp.concatenate([rz, n], axis=-1)

    @nn.nowrap
    def combine(self, weights: dict, carry: GRUCarry, z: jax.Array, x: jax.Array) -> GRUCarry:
        """The next carry, from z = h_{t-1} R and the projected input, each [B, 3H]."""
        (x_rz, x_n), (z_rz, z_n) = self._split(x), self._split(z)
        r, u = gates(x_rz + layer_norm(weights, "norm_h_gates", z_rz), "ss")
        if self.layer_norm:
            candidate = layer_norm(weights, "norm_h_candidate", z_n)
        else:
            candidate = add_bias(z_n, weights["recurrent_bias"])
        return self._interpolate(carry, u, tanh(x_n + r * candidate))

    @nn.nowrap
    def update(self, weights: dict, carry: GRUCarry, x: jax.Array) -> GRUCarry:
        if self.reset == "after":
            return super().update(weights, carry, x)
        h, (x_rz, x_n) = carry.h.astype(x.dtype), self._split(x)
        kernel_rz, kernel_n = self._split(weights["recurrent_kernel"])
        r, u = gates(x_rz + layer_norm(weights, "norm_h_gates", h @ kernel_rz), "ss")
        candidate = layer_norm(weights, "norm_h_candidate", (r * h) @ kernel_n)
        return self._interpolate(carry, u, tanh(x_n + candidate))

    @nn.nowrap
    def initial_carry(self, shape: tuple[int, ...]) -> GRUCarry:
        return GRUCarry(jnp.zeros((*shape[:-1], self.features)))

    @property
    def fusable(self) -> bool:
        return self.reset == "after"

    @nn.nowrap
    def initial_bias(self, key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike) -> jax.Array:
        """Initialiser of b, its gates in the order r z n."""
        bias, h = jnp.zeros(shape, dtype), self.features
        if self.chrono is None:
            return bias
        lags = chrono_bias(key, (h,), dtype, self.chrono)
        return bias.at[h : 2 * h].set(lags if self.update_gate == "keep" else -lags)

    @nn.nowrap
    def _split(self, a: jax.Array) -> list[jax.Array]:
        return jnp.split(a, [2 * self.features], axis=-1)  # slices have a slower gradient

    @nn.nowrap
    def _interpolate(self, carry: GRUCarry, u: jax.Array, n: jax.Array) -> GRUCarry:
        old, new = (carry.h, n) if self.update_gate == "keep" else (n, carry.h)
        return GRUCarry(new + u * (old - new))


class MGU(Cell):
    """Minimal gated unit: a GRU with one gate for forget and reset (Zhou et al. 2016).

        f = sigmoid(x_t W_f + h_{t-1} R_f + b_f)
        n = tanh(x_t W_n + (f * h_{t-1}) R_n + b_n)
        h_t = (1 - f) * h_{t-1} + f * n

    W is `kernel` [D, 2H], R `recurrent_kernel` [H, 2H], b `bias` [2H]; their columns are in the
    order f n. Each gate of W is initialised as in Glorot and Bengio 2010, each of R orthogonal, b
    to zero. A step is two matmuls.

    >>> from nets.layers.recurrent import Recurrent
    >>> layer, x = Recurrent(MGU(16)), jnp.zeros((2, 5, 8))
    >>> jax.eval_shape(layer.init_with_output, jax.random.key(0), x)[0][0].shape
    (2, 5, 16)

    Attributes:
        features: number of units H.
    """

    @nn.compact
    def weights(self, shape: tuple[int, ...], dtype: DTypeLike) -> dict[str, jax.Array]:
        h = self.features
        return {
            "kernel": self.param("kernel", glorot_gates(2), (shape[-1], 2 * h), dtype),
            "recurrent_kernel": self.param("recurrent_kernel", orthogonal_gates, (h, 2 * h), dtype),
            "bias": self.param("bias", nn.initializers.zeros, (2 * h,), dtype),
        }

    @nn.nowrap
    def update(self, weights: dict, carry: GRUCarry, x: jax.Array) -> GRUCarry:
        at, h, kernel = self.features, carry.h.astype(x.dtype), weights["recurrent_kernel"]
        (f,) = gates(x[..., :at] + h @ kernel[:, :at], "s")
        n = tanh(x[..., at:] + (f * h) @ kernel[:, at:])
        return GRUCarry(carry.h + f * (n - carry.h))

    @nn.nowrap
    def initial_carry(self, shape: tuple[int, ...]) -> GRUCarry:
        return GRUCarry(jnp.zeros((*shape[:-1], self.features)))
