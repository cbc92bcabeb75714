"""Transposed convolution: what a convolution's gradient does to its output."""

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
from nets.layers.conv_windows import Padding, explicit_pads, to_tuple


class ConvTranspose(nn.Module):
    """Transposed convolution of x [B, *spatial, C] by kernel [*window, C, F].

        y[i, f] = b[f] + sum_{p, t: p stride + t dilation - low = i} sum_c x[p, c] kernel[t, c, f]

    It is linear in x as the gradient of `Conv` is, of the same strides, padding and dilation, from
    F channels to C (Dumoulin and Visin 2016, chapter 4). With padding in numbers it is torch's
    ConvTranspose: each place of x paints its window, and `padding` is cut off the result.

    Attributes:
        features: number of output channels F.
        window: size of the kernel along each axis.
        strides: step between the windows that neighbouring inputs paint, one for all axes or one
            each.
        padding: what is cut off the output, that of the `Conv` whose gradient this is. A number:
            so many on either side of each axis. Pairs: low and high for each axis. "SAME": what
            leaves size * stride outputs. "VALID": none.
        output_padding: places added at the high end, below the stride, one for all axes or one
            each: a `Conv` of that stride maps several sizes to one, this chooses among them.
        dilation: distance of neighbouring taps, one for all axes or one each.
        use_bias: whether there is b.
        kernel_init: initialiser of the kernel, whose fan-in is prod(window) C.
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
            ValueError: the axes of x do not fit the window, nothing is left of the output, or
                there is no such padding, stride or dilation.
        """
        rank = len(self.window)
        if x.ndim != rank + 2:
            raise ValueError(f"a window {self.window} takes x of {rank + 2} axes, not {x.shape}")
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
    """What `ConvTranspose` computes, without bias.

    On a CPU the prod(strides) phases of the output come from convolutions of stride 1, so that the
    gradient is theirs; elsewhere it is one of x with zeros between its places.

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
        raise ValueError(f"{output_padding=} must be from 0 to below the strides {strides}")
    if padding in ("CAUSAL", "CIRCULAR"):
        raise ValueError(f"{padding=}: valid are a number, a pair for each axis, SAME and VALID")
    if padding == "SAME" and np.any(extra):
        raise ValueError(f"{padding=} makes size * stride outputs: no {output_padding=}")
    reach = np.multiply(dilation, np.subtract(window, 1)) + 1
    full = np.multiply(np.subtract(sizes, 1), strides) + reach
    same = np.multiply(sizes, strides)
    pads = explicit_pads(same, window, strides, padding, dilation)
    out = same if padding == "SAME" else full - np.sum(pads, axis=1) + extra
    if np.any(out < 1):
        raise ValueError(f"{padding=} leaves nothing of {tuple(full.tolist())} places")
    place = {
        "strides": np.array(strides),
        "low": np.array([low for low, _ in pads]),
        "out": out,
        "dilation": np.array(dilation),
    }
    return lax.platform_dependent(
        x,
        kernel,
        cpu=functools.partial(_by_phases, **place),
        default=functools.partial(_spread, **place),
    )


def _spread(x, kernel, strides, low, out, dilation):
    """The convolution of x with stride - 1 zeros between its places."""
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
    """Each phase, the outputs r, r + stride, r + 2 stride ..., by a convolution of stride 1.

    Output i of the whole, i = q stride + r - low, is the sum over j of x[q - j] times tap
    r + j stride of the kernel, its dilation filled in.
    """
    rank, features = len(strides), kernel.shape[-1]
    first, last = low // strides, (low + out - 1) // strides  # of q
    holes = np.where(strides > 1, dilation - 1, 0)  # at stride 1 the convolution's dilation does
    dilation = np.where(strides > 1, 1, dilation)
    phases = []
    for part in _phase_kernels(_padded(kernel, 0, [0] * rank, [0] * rank, holes), strides):
        before = dilation * np.subtract(part.shape[:-2], 1) - first
        seen = _padded(x, 1, before, last + 1 - x.shape[1:-1], [0] * rank)
        phases.append(convolve(seen, part, 1, "VALID", dilation.tolist()))
    y = jnp.concatenate(phases, axis=-1)
    y = y.reshape(*y.shape[:-1], *strides, features)  # [B, Q, Q', ..., r, r', ..., F]
    order = np.stack([np.arange(rank), np.arange(rank) + rank], axis=1).ravel() + 1
    y = y.transpose(0, *order, 2 * rank + 1)
    y = y.reshape(x.shape[0], *(strides * (last + 1 - first)), features)
    start = low - first * strides
    return y[:, *map(slice, start, start + out)]


def _phase_kernels(kernel, strides):
    """The kernels of the phases, mirrored, in the order of np.ndindex(strides).

    They are one, of as many features as all have together, unless it had too many zeros: where
    the stride does not divide the window, phases have different numbers of taps.
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
    """x with zeros, or cut where they are negative, along the axes from `axis` on."""
    pads = [(0, 0, 0)] * x.ndim
    pads[axis : axis + len(low)] = zip(low, high, between, strict=True)
    return lax.pad(x, x.dtype.type(0), pads)
