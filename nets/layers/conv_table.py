"""LeCun's convolution: a connection table, biases per unit, and his initialisation."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.linen.dtypes import promote_dtype
from jax.typing import ArrayLike, DTypeLike

from nets.layers.conv import convolve

Table = tuple[tuple[int, ...], ...]
"""For each output map of a layer, the input maps that it is connected to."""


class TableConv(nn.Module):
    """5x5 convolution without padding, with a connection table (LeCun et al. 1998, table I).

    With a table, only the kernels of its connections are parameters: [5, 5, connections], in the
    order of the output maps. The convolution uses a dense kernel that is zero elsewhere.

        >>> x = jnp.ones((1, 8, 8, 3))
        >>> jax.eval_shape(TableConv(4).init_with_output, jax.random.key(0), x)[0].shape
        (1, 4, 4, 4)

    Attributes:
        features: number of output maps.
        stride: distance between the windows of neighbouring outputs.
        table: for each output map, its input maps; None means all.
        unit_biases: whether there is a bias for each unit, [H', W', features], instead of one for
            each map, [features].
        kernel_init: initialiser of the kernel; with a table, of the kernel [5, 5, inputs, features]
            of which each map takes its own column. None means `fan_in_uniform`.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    features: int
    stride: int = 1
    table: Table | None = None
    unit_biases: bool = False
    kernel_init: nn.initializers.Initializer | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [B, H, W, C] to [B, H', W', features]."""
        shape = (5, 5, x.shape[-1], self.features)
        if self.table is None:
            fan_in = 25 * x.shape[-1]
            init = self.kernel_init or fan_in_uniform(fan_in)
            kernel = self.param("kernel", init, shape, self.param_dtype)
        else:
            counts = np.array([len(maps) for maps in self.table])
            fan_in = 25 * counts
            init = self._by_map if self.kernel_init else fan_in_uniform(np.repeat(fan_in, counts))
            kernel = self.param("kernel", init, (5, 5, counts.sum()), self.param_dtype)
            sources, targets = np.concatenate(self.table), np.repeat(np.arange(len(counts)), counts)
            kernel = jnp.zeros(shape, kernel.dtype).at[:, :, sources, targets].set(kernel)
        x, kernel = promote_dtype(x, kernel, dtype=self.dtype)
        y = convolve(x, kernel, self.stride, "VALID")
        bias_shape = y.shape[1:] if self.unit_biases else y.shape[3:]
        bias = self.param("bias", fan_in_uniform(fan_in), bias_shape, self.param_dtype)
        return y + jnp.broadcast_to(bias.astype(y.dtype), y.shape)

    @nn.nowrap
    def _by_map(self, key, shape, dtype):
        """Kernels [5, 5, connections], each map's with the fans of its own inputs."""
        kernels = [
            self.kernel_init(jax.random.fold_in(key, i), (5, 5, len(maps), self.features), dtype)
            for i, maps in enumerate(self.table)
        ]
        return jnp.concatenate([kernel[..., i] for i, kernel in enumerate(kernels)], axis=-1)


def fan_in_uniform(fan_in: ArrayLike, scale: float = 2.4) -> nn.initializers.Initializer:
    """Initialiser: uniform in +-scale / fan_in, which may differ along the last axis.

    A unit's fan-in is the number of its inputs, without the bias (LeCun et al. 1989, 1998).

        >>> fan_in_uniform(25)(jax.random.key(0), (5, 5, 1, 4), jnp.float32).shape
        (5, 5, 1, 4)
    """

    def init(key, shape, dtype):
        limit = jnp.asarray(np.broadcast_to(scale / np.asarray(fan_in), shape), dtype)
        return jax.random.uniform(key, shape, dtype, -1, 1) * limit

    return init
