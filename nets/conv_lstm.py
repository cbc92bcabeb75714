"""Convolutional long short-term memory."""

import functools
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jax.typing import DTypeLike

from nets.layers.conv_cpu import layout
from nets.layers.recurrent_cell import Cell, add_bias, glorot_gates, orthogonal_gates
from nets.lstm import LSTM, LSTMCarry


class ConvLSTM(Cell):
    """LSTM cell over images, with convolutions as its matmuls (Shi et al. 2015, equation 3).

        i, f, g, o = x_t * W + h_{t-1} * R + b
        c_t = sigmoid(f) c_{t-1} + sigmoid(i) tanh(g)
        h_t = sigmoid(o) tanh(c_t)

    where * is a convolution, zero-padded to keep the size. x_t is [B, H, W, C], c_t and h_t
    [B, H, W, F]. W is `kernel` [h, w, C, 4F], R `recurrent_kernel` [h, w, F, 4F], b `bias` [4F];
    their last axis holds the gates in the order i f g o. Each gate of W is initialised as in Glorot
    and Bengio 2010, each of R orthogonal, as [h w F, F], b to zero except the forget gate's.

    `peepholes` adds V_i c_{t-1} to i, V_f c_{t-1} to f and V_o c_t to o, as in the paper; V is
    `peephole` [3, H, W, F], initialised to zero, so the weights fit images of one size only.

    >>> from nets.layers.recurrent import Recurrent
    >>> layer, x = Recurrent(ConvLSTM(16)), jnp.zeros((2, 5, 8, 8, 1))
    >>> jax.eval_shape(layer.init_with_output, jax.random.key(0), x)[0][0].shape
    (2, 5, 8, 8, 16)

    Attributes:
        features: number of maps F.
        kernel_size: height and width of the convolutions.
        forget_bias: initial bias of the forget gate.
        peepholes: whether the gates read the cell state.
    """

    input_axes: ClassVar[tuple[str, ...]] = ("H", "W", "C")

    kernel_size: tuple[int, int] = (3, 3)
    forget_bias: float = 1.0
    peepholes: bool = False

    @nn.compact
    def weights(self, shape: tuple[int, ...], dtype: DTypeLike) -> dict[str, jax.Array]:
        f, orthogonal = self.features, functools.partial(orthogonal_gates, parts=4)
        kernel, recurrent = ((*self.kernel_size, d, 4 * f) for d in (shape[-1], f))
        weights = {
            "kernel": self.param("kernel", glorot_gates(4), kernel, dtype),
            "recurrent_kernel": self.param("recurrent_kernel", orthogonal, recurrent, dtype),
            "bias": self.param("bias", self._gates.initial_bias, (4 * f,), dtype),
        }
        if self.peepholes:
            zeros, size = nn.initializers.zeros, (3, *shape[1:-1], f)
            weights["peephole"] = self.param("peephole", zeros, size, dtype)
        return weights

    @nn.nowrap
    def project(self, weights: dict, x: jax.Array) -> jax.Array:
        """The input's part [..., H, W, 4F] of x [..., H, W, C], for any number of steps at once."""
        y = _conv(x.reshape(-1, *x.shape[-3:]), weights["kernel"])
        return add_bias(y.reshape(*x.shape[:-1], -1), weights["bias"])

    @nn.nowrap
    def update(self, weights: dict, carry: LSTMCarry, x: jax.Array) -> LSTMCarry:
        h, kernel = carry.h.astype(x.dtype), weights["recurrent_kernel"]
        z = lax.platform_dependent(h, kernel, cpu=_conv_by_matmul, default=_conv)
        return self._gates.combine(weights, carry, z, x)

    @nn.nowrap
    def initial_carry(self, shape: tuple[int, ...]) -> LSTMCarry:
        zeros = jnp.zeros((*shape[:-1], self.features))
        return LSTMCarry(zeros, zeros)

    @property
    def _gates(self) -> LSTM:
        return LSTM(self.features, self.forget_bias, self.peepholes, parent=None)


def _conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=layout(2))


def _conv_by_matmul(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """`_conv` as one matmul: XLA's gradient of a convolution in a scan is slow on a CPU."""
    height, width = kernel.shape[:2]
    rows, columns = x.shape[1:3]
    padding = [((size - 1) // 2, size // 2) for size in (height, width)]
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    shifts = [x[:, i : i + rows, j : j + columns] for i in range(height) for j in range(width)]
    return jnp.concatenate(shifts, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])
