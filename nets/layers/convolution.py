"""Convolutions beyond `nn.Conv`: for small images on a CPU, and with a table of connections."""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.linen.dtypes import promote_dtype
from jax import lax
from jax.typing import ArrayLike, DTypeLike

Table = tuple[tuple[int, ...], ...]
"""For each map of a layer, the maps below that it sees."""

NHWC = ("NHWC", "HWIO", "NHWC")


def small_image_conv(
    x: jax.Array,
    kernel: jax.Array,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] = (1, 1),
    rhs_dilation: Sequence[int] = (1, 1),
    dimension_numbers: lax.ConvGeneralDilatedDimensionNumbers = NHWC,
    feature_group_count: int = 1,
    precision: lax.PrecisionLike = None,
) -> jax.Array:
    """Convolves x [B, H, W, C] with kernel [h, w, C, F]; for `nn.Conv(conv_general_dilated=...)`.

    On a CPU it is one matmul of whole rows, [B H', h W C] by [h W C, W' F], the kernel laid out as
    a band. That is W / w times the arithmetic, and still faster where W and C are small
    (`tests/benchmarks/engine.py` times LeNet-5 with both). Elsewhere it is
    `lax.conv_general_dilated`.

    Raises:
        ValueError: for dilations or feature groups.
    """
    if {*lhs_dilation, *rhs_dilation, feature_group_count} != {1}:
        raise ValueError(
            "small_image_conv takes dilations and feature groups of 1 only, not "
            f"{tuple(lhs_dilation)}, {tuple(rhs_dilation)} and {feature_group_count}"
        )
    strides = tuple(window_strides)
    direct = functools.partial(
        lax.conv_general_dilated,
        window_strides=strides,
        padding=padding,
        dimension_numbers=dimension_numbers,
        precision=precision,
    )
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding)
    banded = functools.partial(_banded, strides=strides, padding=padding)
    return lax.platform_dependent(x, kernel, cpu=banded, default=direct)


def _banded(x, kernel, strides, padding):
    batch, _, columns, channels = x.shape
    height, width, _, features = kernel.shape
    x = jnp.pad(x, ((0, 0), padding[0], (0, 0), (0, 0)))
    rows_out = (x.shape[1] - height) // strides[0] + 1
    columns_out = (columns + sum(padding[1]) - width) // strides[1] + 1
    # Output column v meets input column u through tap t where u = stride * v + t - padding.
    u, v, t = np.ogrid[:columns, :columns_out, :width]
    taps = (u == strides[1] * v + t - padding[1][0]).astype(kernel.dtype)
    band = jnp.einsum("uvt,itco->iucvo", taps, kernel)
    rows = x.reshape(batch, -1, columns * channels)
    last = strides[0] * (rows_out - 1) + 1
    rows = jnp.concatenate([rows[:, i : i + last : strides[0]] for i in range(height)], axis=-1)
    y = rows.reshape(batch * rows_out, -1) @ band.reshape(-1, columns_out * features)
    return y.reshape(batch, rows_out, columns_out, features)


class TableConv(nn.Module):
    """5x5 convolution without padding, with a table of connections and LeCun's initial weights.

    With a table, only the kernels of its connections are parameters: [5, 5, connections], map
    after map. They are computed with as a dense kernel that is zero elsewhere.

    Attributes:
        features: number of maps.
        stride: step between neighbouring units.
        table: for each map the input maps it sees; all of them if none.
        unit_biases: one bias for each unit [H', W', features], not for each map [features].
        dtype: what it computes in.
        param_dtype: what it stores.
    """

    features: int
    stride: int = 1
    table: Table | None = None
    unit_biases: bool = False
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [B, H, W, C] to [B, H', W', features]."""
        shape = (5, 5, x.shape[-1], self.features)
        if self.table is None:
            fan_in = 25 * x.shape[-1]
            kernel = self.param("kernel", fan_in_uniform(fan_in), shape, self.param_dtype)
        else:
            seen = np.array([len(maps) for maps in self.table])
            fan_in = 25 * seen
            init = fan_in_uniform(np.repeat(fan_in, seen))
            kernel = self.param("kernel", init, (5, 5, seen.sum()), self.param_dtype)
            sources, targets = np.concatenate(self.table), np.repeat(np.arange(len(seen)), seen)
            kernel = jnp.zeros(shape, kernel.dtype).at[:, :, sources, targets].set(kernel)
        x, kernel = promote_dtype(x, kernel, dtype=self.dtype)
        y = small_image_conv(x, kernel, (self.stride, self.stride), "VALID")
        bias_shape = y.shape[1:] if self.unit_biases else y.shape[3:]
        bias = self.param("bias", fan_in_uniform(fan_in), bias_shape, self.param_dtype)
        return y + jnp.broadcast_to(bias.astype(y.dtype), y.shape)


def fan_in_uniform(fan_in: ArrayLike, scale: float = 2.4) -> Callable[..., jax.Array]:
    """Initialiser: uniform within scale / fan_in, which may differ along the last axis.

    A unit's fan-in is the number of its inputs, without the bias (LeCun et al. 1989, 1998).
    """

    def init(key, shape, dtype):
        limit = jnp.asarray(np.broadcast_to(scale / np.asarray(fan_in), shape), dtype)
        return jax.random.uniform(key, shape, dtype, -1, 1) * limit

    return init
