"""Residual blocks and stages of them.

He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition, CVPR 2016, and Identity
Mappings in Deep Residual Networks, ECCV 2016.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from nets.layers.scan_blocks import scan_blocks


class ConvSpec(NamedTuple):
    """One convolution of a residual branch; its window is square, `window` x `window`."""

    features: int
    window: int
    groups: int = 1
    dilation: int = 1


class ResidualBlock(nn.Module):
    """x + F(x), where F is convolutions, each with a batch normalisation and a ReLU.

    Names are torchvision's: conv1, bn1, conv2, ...; where the shapes of x and F(x) differ, x is
    projected by downsample_0 and normalised by downsample_1.

        >>> from nets.layers.classification_head import conv_and_norm
        >>> conv, norm = conv_and_norm(jnp.float32, jnp.float32, train=False)
        >>> block = ResidualBlock((ConvSpec(8, 3), ConvSpec(8, 3)), conv, norm, strides=2)
        >>> x = jnp.ones((1, 8, 8, 4))
        >>> jax.eval_shape(block.init_with_output, jax.random.key(0), x)[0].shape
        (1, 4, 4, 8)

    Attributes:
        layers: the convolutions of F.
        conv: makes a convolution without bias, from features, window, strides and padding.
        norm: makes a batch normalisation.
        strides: strides of F.
        strided: index of the layer that has these strides.
        preactivated: whether normalisation and ReLU come before each convolution (He et al. 2016);
            the input of the projection is then the first ReLU's output, and the projection has no
            normalisation. Otherwise they come after it, the last ReLU after the sum (He et al.
            2015).
        activated: whether a pre-activated block omits its first normalisation and ReLU.
        plain: whether x is not added, which leaves F and the last ReLU.
        padded: whether x, where shapes differ, is strided and padded with zero channels at the end
            (He et al. 2015, option A), instead of projected (option B).
        excite: makes a squeeze-and-excitation layer, the last of F.
        drop: makes a dropout, before the last convolution.
        zero_init: whether F is initialised to zero: the scale of the last normalisation (Goyal et
            al. 2017), or the kernel of the last convolution of a pre-activated block.
    """

    layers: tuple[ConvSpec, ...]
    conv: Callable[..., nn.Module]
    norm: Callable[..., nn.Module]
    strides: int = 1
    strided: int = 0
    preactivated: bool = False
    activated: bool = False
    plain: bool = False
    padded: bool = False
    excite: Callable[..., nn.Module] | None = None
    drop: Callable[[], nn.Module] | None = None
    zero_init: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, gate: jax.Array | None = None) -> jax.Array:
        """Maps x [B, H, W, C] to [B, ceil(H / strides), ceil(W / strides), features].

        F is multiplied by `gate` [B, 1, 1, 1]; None means 1.
        """
        last, zeros = len(self.layers) - 1, nn.initializers.zeros
        y, projection_input, before = x, x, self.preactivated
        for i, (features, window, groups, dilation) in enumerate(self.layers):
            norm = functools.partial(self.norm, name=f"bn{i + 1}")
            if before and not (i == 0 and self.activated):
                y = nn.relu(norm()(y))
                projection_input = y if i == 0 else projection_input
            if i == last and self.drop:
                y = self.drop()(y)
            options = {"kernel_init": zeros} if self.zero_init and before and i == last else {}
            y = self.conv(
                features,
                window=(window, window),
                strides=self.strides if i == self.strided else 1,
                padding=window // 2 * dilation,
                dilation=dilation,
                groups=groups,
                name=f"conv{i + 1}",
                **options,
            )(y)
            if not before:
                y = norm(scale_init=zeros)(y) if self.zero_init and i == last else norm()(y)
                y = nn.relu(y) if i < last else y
        if self.excite:
            y = self.excite(name="se")(y)
        if gate is not None:
            y = y * jnp.broadcast_to(gate, y.shape).astype(y.dtype)
        y = y if self.plain else y + self._shortcut(x, projection_input, y)
        return y if before else nn.relu(y)

    def _shortcut(self, x: jax.Array, projection_input: jax.Array, y: jax.Array) -> jax.Array:
        """x; or where its shape is not that of y, x padded, or the projection."""
        features, missing = y.shape[-1], y.shape[-1] - x.shape[-1]
        if missing == 0 and self.strides == 1:
            return x
        if self.padded:
            x = x[:, :: self.strides, :: self.strides]
            return jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, missing)))
        project = self.conv(
            features, window=(1, 1), strides=self.strides, padding=0, name="downsample_0"
        )
        x = project(projection_input)
        return x if self.preactivated else self.norm(name="downsample_1")(x)


def residual_stage(
    x: jax.Array,
    name: str,
    blocks: int,
    first: Callable[..., nn.Module],
    rest: Callable[..., nn.Module],
    gates: jax.Array | None = None,
    *,
    scan: bool,
) -> jax.Array:
    """Applies the blocks `name`_0, made by `first`, and `name`_1, `name`_2 ..., made by `rest`.

    Args:
        x: [B, H, W, C].
        name: name of the stage.
        blocks: number of blocks.
        first, rest: make a block from its name.
        gates: a factor of each block's branch, [blocks, B, 1, 1, 1]; None means 1.
        scan: whether all blocks but the first run as one scan, `name`_rest.
    """
    x = first(name=f"{name}_0")(x, None if gates is None else gates[0])
    if scan and blocks > 1:
        others = None if gates is None else gates[1:]
        return scan_blocks(rest(name=f"{name}_rest"), x, blocks - 1, others)
    for i in range(1, blocks):
        x = rest(name=f"{name}_{i}")(x, None if gates is None else gates[i])
    return x
