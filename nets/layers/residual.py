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


class Layer(NamedTuple):
    """One convolution of a residual branch: its features, the side of its window, its groups."""

    features: int
    window: int
    groups: int = 1


class ResidualBlock(nn.Module):
    """x + F(x), F being convolutions, each with a batch normalisation and a ReLU.

    Names are torchvision's: conv1, bn1, conv2, ...; the projection, which there is where x + F(x)
    would not fit, is downsample_0, and its normalisation downsample_1.

    Attributes:
        layers: the convolutions of F.
        conv: makes a convolution without bias, from features, window, strides and padding.
        norm: makes a batch normalisation.
        strides: strides of F.
        strided: which of the layers has them, from 0.
        preactivated: whether normalisation and ReLU come before each convolution (He et al. 2016),
            in which case the projection sees what the first ReLU gives, and has no normalisation;
            else they come after it, the last ReLU after the sum (He et al. 2015).
        activated: whether a pre-activated block leaves out its first normalisation and ReLU.
        padded: whether x, where it does not fit, is strided and padded with zero channels behind
            its own (He et al. 2015, option A), instead of projected (option B).
        excite: makes a squeeze-and-excite layer, the last of F.
        drop: makes a dropout, before the last convolution.
        zero_init: whether F starts as zero: the scale of the last normalisation (Goyal et al.
            2017), of a pre-activated block the kernel of the last convolution.
    """

    layers: tuple[Layer, ...]
    conv: Callable[..., nn.Module]
    norm: Callable[..., nn.Module]
    strides: int = 1
    strided: int = 0
    preactivated: bool = False
    activated: bool = False
    padded: bool = False
    excite: Callable[..., nn.Module] | None = None
    drop: Callable[[], nn.Module] | None = None
    zero_init: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, gate: jax.Array | None = None) -> jax.Array:
        """Maps x [B, H, W, C] to [B, ceil(H / strides), ceil(W / strides), features].

        F is multiplied by `gate` [B, 1, 1, 1], if there is one.
        """
        last, zeros = len(self.layers) - 1, nn.initializers.zeros
        y, seen, before = x, x, self.preactivated
        for i, (features, window, groups) in enumerate(self.layers):
            norm = functools.partial(self.norm, name=f"bn{i + 1}")
            if before and not (i == 0 and self.activated):
                y = nn.relu(norm()(y))
                seen = y if i == 0 else seen
            if i == last and self.drop:
                y = self.drop()(y)
            options = {"kernel_init": zeros} if self.zero_init and before and i == last else {}
            y = self.conv(
                features,
                window=(window, window),
                strides=self.strides if i == self.strided else 1,
                padding=window // 2,
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
        y = y + self._shortcut(x, seen, y)
        return y if before else nn.relu(y)

    def _shortcut(self, x: jax.Array, seen: jax.Array, y: jax.Array) -> jax.Array:
        """What F(x) is added to: x, or where it is not of y's shape, what stands for it."""
        features, more = y.shape[-1], y.shape[-1] - x.shape[-1]
        if more == 0 and self.strides == 1:
            return x
        if self.padded:
            x = x[:, :: self.strides, :: self.strides]
            return jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, more)))
        project = self.conv(
            features, window=(1, 1), strides=self.strides, padding=0, name="downsample_0"
        )
        x = project(seen)
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
    """x through the blocks `name`_0, which `first` makes, and `name`_1 ..., which `rest` makes.

    Args:
        x: [B, H, W, C].
        name: name of the stage.
        blocks: number of blocks.
        first, rest: make a block from its name.
        gates: what each block's branch is multiplied by, [blocks, B, 1, 1, 1].
        scan: whether all but the first are one scan, `name`_rest.
    """
    x = first(name=f"{name}_0")(x, None if gates is None else gates[0])
    if scan and blocks > 1:
        given = None if gates is None else gates[1:]
        return scan_blocks(rest(name=f"{name}_rest"), x, blocks - 1, given)
    for i in range(1, blocks):
        x = rest(name=f"{name}_{i}")(x, None if gates is None else gates[i])
    return x
