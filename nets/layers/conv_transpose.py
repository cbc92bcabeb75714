"""Transposed convolution: the gradient of a convolution by its input, as a layer."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.linen.dtypes import promote_dtype
from jax import lax
from jax.typing import DTypeLike

from nets.layers.conv import convolve
from nets.layers.conv_cpu import layout
from nets.layers.conv_windows import Padding, check_axes, explicit_pads, to_tuple


class ConvTranspose(nn.Module):
    """Transposed convolution of x [B, *spatial, C] by kernel [*window, C, F].

        y[i, f] = b[f] + sum_{p, t: p stride + t dilation - low = i} sum_c x[p, c] kernel[t, c, f]

    It is the gradient of a `Conv` with the same strides, padding and dilation, from F channels to C
    (Dumoulin and Visin 2016, chapter 4). With padding in numbers it equals torch's ConvTranspose:
    each position of x adds a kernel to the output, and `padding` is cut off the result.

        >>> layer, x = ConvTranspose(4, (2, 2), strides=2), jnp.ones((1, 8, 8, 3))
        >>> jax.eval_shape(layer.init_with_output, jax.random.key(0), x)[0].shape
        (1, 16, 16, 4)

    Attributes:
        features: number of output channels F.
        window: size of the kernel along each axis.
        strides: distance between the windows of neighbouring inputs, one for all axes or one each.
        padding: positions cut off the output, the padding of the `Conv`. A number: on both sides
            of each axis. Pairs: low and high for each axis. "SAME": for size * stride outputs.
            "VALID": none.
        output_padding: positions added at the high end, fewer than the stride, one for all axes or
            one each; it chooses among the input sizes that the `Conv` maps to one output size.
        dilation: distance between neighbouring taps, one for all axes or one each.
        use_bias: whether there is b.
        kernel_init: initialiser of the kernel; the fan-in is prod(window) C.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    features: int
    window: tuple[int, ...]
    strides: int | tuple[int, ...] = 1
    padding: Padding = "SAME"
    output_padding: int | tuple[int, ...] = 0
    dilation: int | tuple[int, ...] = 1
    use_bias: bool = True
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [B, *spatial, C] to [B, *spatial', F].

            spatial' = (spatial - 1) stride - low - high + dilation (window - 1) + 1
                       + output_padding

        Raises:
            ValueError: x has another number of axes than the window needs, the output is empty, or
                padding, strides or dilation is invalid.
        """
        rank = len(self.window)
        check_axes(x, self.window)
        shape = (*self.window, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        x, kernel = promote_dtype(x, kernel, dtype=self.dtype)
        y = convolve_transpose(
            x, kernel, self.strides, self.padding, self.output_padding, self.dilation
        )
        if not self.use_bias:
            return y
        bias = self.param("bias", nn.initializers.zeros, (self.features,), self.param_dtype)
        return y + bias.astype(y.dtype).reshape((1,) * (rank + 1) + (-1,))


def convolve_transpose(
    x: jax.Array,
    kernel: jax.Array,
    strides: int | Sequence[int] = 1,
    padding: Padding = "SAME",
    output_padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
) -> jax.Array:
    """`ConvTranspose` as a function, without bias.

    On a CPU the output is prod(strides) phases, each a convolution with stride 1, which has a fast
    gradient; elsewhere it is one convolution of x with zeros between its positions.

        >>> x, kernel = jnp.ones((1, 2, 1)), jnp.ones((2, 1, 1))
        >>> convolve_transpose(x, kernel, strides=2).ravel().tolist()
        [1.0, 1.0, 1.0, 1.0]

    Args:
        x: [B, *spatial, C].
        kernel: [*window, C, F].
        strides, padding, output_padding, dilation: as in `ConvTranspose`.

    Raises:
        ValueError: as in `ConvTranspose`.
    """
    rank = x.ndim - 2
    sizes, window = x.shape[1:-1], kernel.shape[:rank]
    strides, dilation = to_tuple(strides, rank, "strides"), to_tuple(dilation, rank, "dilation")
    extra = np.array(
        (output_padding,) * rank if isinstance(output_padding, int) else output_padding
    )
    if extra.shape != (rank,) or np.any(extra < 0) or np.any(extra >= strides):
        raise ValueError(
            f"output_padding must be from 0 to below the strides {strides}, got {output_padding}"
        )
    if padding in ("CAUSAL", "CIRCULAR"):
        raise ValueError(
            f"padding must be a number, a pair for each axis, SAME or VALID, got {padding!r}"
        )
    if padding == "SAME" and np.any(extra):
        raise ValueError(f"output_padding must be 0 with padding='SAME', got {output_padding}")
    reach = np.multiply(dilation, np.subtract(window, 1)) + 1
    full = np.multiply(np.subtract(sizes, 1), strides) + reach
    same = np.multiply(sizes, strides)
    pads = explicit_pads(same, window, strides, padding, dilation)
    out = same if padding == "SAME" else full - np.sum(pads, axis=1) + extra
    if np.any(out < 1):
        raise ValueError(
            f"padding must be less than the {tuple(full.tolist())} positions of the full output, "
            f"got {padding!r}"
        )
    geometry = {
        "strides": np.array(strides),
        "low": np.array([low for low, _ in pads]),
        "out": out,
        "dilation": np.array(dilation),
    }
    return lax.platform_dependent(
        x,
        kernel,
        cpu=functools.partial(_by_phases, **geometry),
        default=functools.partial(_spread, **geometry),
    )


def _spread(x, kernel, strides, low, out, dilation):
    """The convolution of x with stride - 1 zeros between its positions."""
    rank = len(strides)
    span = strides * np.subtract(x.shape[1:-1], 1) + 1
    reach = dilation * np.subtract(kernel.shape[:-2], 1) + 1
    before = reach - 1 - low
    after = out + reach - 1 - span - before
    return lax.conv_general_dilated(
        x,
        jnp.flip(kernel, range(rank)),
        (1,) * rank,
        list(zip(before, after, strict=True)),
        lhs_dilation=strides,
        rhs_dilation=dilation,
        dimension_numbers=layout(rank),
    )


def _by_phases(x, kernel, strides, low, out, dilation):
    """Each phase, the outputs r, r + stride, r + 2 stride ..., by a convolution with stride 1.

    Output i = q stride + r - low is the sum over j of x[q - j] times tap r + j stride of the
    kernel, where the taps between dilated ones are zero.
    """
    rank, features = len(strides), kernel.shape[-1]
    first, last = low // strides, (low + out - 1) // strides  # of q
    holes = np.where(strides > 1, dilation - 1, 0)  # with stride 1, `convolve` dilates
    dilation = np.where(strides > 1, 1, dilation)
    phases = []
    for part in _phase_kernels(_padded(kernel, 0, [0] * rank, [0] * rank, holes), strides):
        before = dilation * np.subtract(part.shape[:-2], 1) - first
        padded = _padded(x, 1, before, last + 1 - x.shape[1:-1], [0] * rank)
        phases.append(convolve(padded, part, 1, "VALID", dilation.tolist()))
    y = jnp.concatenate(phases, axis=-1)
    y = y.reshape(*y.shape[:-1], *strides, features)  # [B, Q, Q', ..., r, r', ..., F]
    order = np.stack([np.arange(rank), np.arange(rank) + rank], axis=1).ravel() + 1
    y = y.transpose(0, *order, 2 * rank + 1)
    y = y.reshape(x.shape[0], *(strides * (last + 1 - first)), features)
    start = low - first * strides
    return y[:, *map(slice, start, start + out)]


def _phase_kernels(kernel, strides):
    """The mirrored kernels of the phases, in the order of np.ndindex(strides).

    They are joined to one kernel with the features of all, unless it had too many zeros: phases
    differ in their number of taps where the stride does not divide the window.
    """
    rank, (channels, features) = len(strides), kernel.shape[-2:]
    window = np.array(kernel.shape[:-2])
    taps = -(-window // strides)
    kernel = _padded(kernel, 0, [0] * rank, taps * strides - window, [0] * rank)
    kernel = kernel.reshape(*np.stack([taps, strides], axis=1).ravel(), channels, features)
    kernel = jnp.flip(kernel, range(0, 2 * rank, 2))  # [J, r, J', r', ..., C, F]
    order = (*range(0, 2 * rank, 2), 2 * rank, *range(1, 2 * rank, 2), 2 * rank + 1)
    kernel = kernel.transpose(order).reshape(*taps, channels, -1)  # [J, J', ..., C, r r' ... F]
    if not np.any(window % strides) or features <= 8 or np.prod(strides) > 8:
        return [kernel]
    kernels = jnp.split(kernel, np.prod(strides), axis=-1)
    present = [np.maximum(-(-(window - r) // strides), 1) for r in np.ndindex(*strides)]
    return [k[*map(slice, taps - n, taps)] for k, n in zip(kernels, present, strict=True)]


def _padded(x, axis, low, high, between):
    """x padded with zeros, or cut where numbers are negative, along the axes from `axis` on."""
    pads = [(0, 0, 0)] * x.ndim
    pads[axis : axis + len(low)] = zip(low, high, between, strict=True)
    return lax.pad(x, x.dtype.type(0), pads)
