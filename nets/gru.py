"""Gated recurrent units."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.cell import Cell, gates, glorot_gates, orthogonal_gates, tanh, with_bias


class GRUCarry(NamedTuple):
    """What a GRU remembers: its output h [B, H]."""

    h: jax.Array


class GRU(Cell):
    """Gated recurrent unit whose reset gate acts after the matmul, as in cuDNN and torch.

        r, z = sigmoid(x_t W_rz + h_{t-1} R_rz + b_rz)
        n = tanh(x_t W_n + b_n + r * (h_{t-1} R_n + a))
        h_t = z * h_{t-1} + (1 - z) * n

    (Cho et al. 2014 let r act before it, on h_{t-1}: `GRUBefore`.) W is `kernel` [D, 3H], R
    `recurrent_kernel` [H, 3H], b `bias` [3H], a `recurrent_bias` [H]; their columns are the gates
    in the order r z n.

    Attributes:
        features: number of units H.
        update_gate: what z = 1 does: "keep" is as above (Cho et al. 2014), "replace" swaps z and 1 - z
            (Chung et al. 2014).
    """

    update_gate: Literal["keep", "replace"] = "keep"

    @nn.compact
    def weights(self, shape: tuple[int, ...], dtype: DTypeLike) -> dict[str, jax.Array]:
        h, zeros = self.features, nn.initializers.zeros
        return {
            "kernel": self.param("kernel", glorot_gates(3), (shape[-1], 3 * h), dtype),
            "recurrent_kernel": self.param("recurrent_kernel", orthogonal_gates, (h, 3 * h), dtype),
            "bias": self.param("bias", zeros, (3 * h,), dtype),
            "recurrent_bias": self.param("recurrent_bias", zeros, (h,), dtype),
        }

    @nn.nowrap
    def combine(self, weights: dict, carry: GRUCarry, z: jax.Array, x: jax.Array) -> GRUCarry:
        """The next carry, from z = h_{t-1} R and the projected input, each [B, 3H]."""
        at = 2 * self.features
        r, u = gates(x[..., :at] + z[..., :at], "ss")
        n = tanh(x[..., at:] + r * with_bias(z[..., at:], weights["recurrent_bias"]))
        old, new = (carry.h, n) if self.update_gate == "keep" else (n, carry.h)
        return GRUCarry(new + u * (old - new))

    @nn.nowrap
    def initial_carry(self, shape: tuple[int, ...], dtype: DTypeLike) -> GRUCarry:
        return GRUCarry(jnp.zeros((*shape[:-1], self.features), dtype))
