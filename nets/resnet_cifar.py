"""Residual networks for images of 32 x 32: the thin ones of He et al., Wide ResNets, a quick one.

He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition, CVPR 2016, section 4.2.
Zagoruyko and Komodakis, Wide Residual Networks, BMVC 2016.
Page, How to Train Your ResNet, 2018; Jordan, 94% on CIFAR-10 in 3.29 Seconds on a Single GPU, 2024.
"""

import functools
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.classification_head import classification_head, conv_and_norm, logits
from nets.layers.conv_norm_act import conv_norm_act
from nets.layers.filters import cosine_patches
from nets.layers.image_checks import check_images
from nets.layers.pooling import global_max, max_pool
from nets.layers.residual import ConvSpec, ResidualBlock, residual_stage


class CifarResNet(nn.Module):
    """ResNet of 6n + 2 layers: three stages of n blocks of two 3x3 convolutions.

    For ten classes and three channels, by depth: 20: 269,722 parameters; 32: 464,154;
    44: 658,586; 56: 853,018; 110: 1,727,962; 1202: 19,421,274. Multiply-adds at 32 px of the first
    are 40,551,040, of the last 2.829 G. Names are torchvision's. Stages: stem and layer1
    [B, H, W, width], layer2 [B, H/2, W/2, 2 width], layer3 [B, H/4, W/4, 4 width], features
    [B, 4 width].

    Convolutions start as He et al. 2015 (normal, by fan-out, truncated), the classifier LeCun
    normal.

    `scan_blocks` is for the deepest, whose compile time it keeps flat: forward and gradient of
    depth 1202 at batch 128 are traced in 0.4 s and compiled in 2.1 s, of depth 110 unrolled in 2.8
    and 6.6 s; a step at depth 110 takes 1.27 times as long in the scan. (`python
    tests/benchmarks/depth.py`, two cores of an AMD EPYC, AVX-512.) `nets.layers.scan_blocks`
    converts the variables.

    Attributes:
        depth: number of layers with weights; the paper's are 20, 32, 44, 56, 110 and 1202.
        shortcut: what stands for x where a stage begins: "A": x itself, strided, and padded by
            zero channels behind its own; "B": a 1x1 convolution and batch normalisation.
        width: channels of the first stage.
        scan_blocks: whether the blocks of a stage, all but the first, run as one scan.
        num_classes: number of outputs. None: to be filled in from the data. 0: no classifier, the
            result is `features`.
        dtype: what it computes in.
        param_dtype: what it stores.
    """

    depth: int = 20
    shortcut: Literal["A", "B"] = "A"
    width: int = 16
    scan_blocks: bool = False
    num_classes: int | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, stages: bool = False
    ) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
        """Maps x [B, H, W, C] to logits [B, num_classes], float32 at least.

        Raises:
            ValueError: x has other axes; the depth is not 6n + 2; the shortcut is unknown; or
                `num_classes` is None.
        """
        check_images(self, x, 1)
        _check_depth(self, 2)
        if self.shortcut not in ("A", "B"):
            raise ValueError(f"CifarResNet.shortcut is A or B, not {self.shortcut}")
        conv, norm = conv_and_norm(self.dtype, self.param_dtype, train)
        block = functools.partial(ResidualBlock, conv=conv, norm=norm, padded=self.shortcut == "A")
        outputs = {}
        made = {"conv": conv, "norm": norm, "names": ("conv1", "bn1")}
        outputs["stem"] = x = conv_norm_act(x, self.width, (3, 3), **made)
        x, seen = _three_stages(x, self.depth // 6, self.width, block, self.scan_blocks)
        return classification_head(self, x, outputs | seen, stages)


class WideResNet(nn.Module):
    """WRN: three stages of pre-activated blocks, `width` times as wide as those of He et al.

    For ten classes and three channels WRN-28-10 has 36,479,194 parameters and 5.243 G
    multiply-adds at 32 px, WRN-40-4 8,949,210 and 1.299 G. A last normalisation and ReLU are
    called "norm". Stages: stem [B, H, W, 16], layer1 [B, H, W, 16 width], layer2, layer3 and
    features as in `CifarResNet`.

    Convolutions start as He et al. 2015 (normal, by fan-out, truncated), the classifier LeCun
    normal.

    Attributes:
        depth: number of layers with weights, 6n + 4; the projections count as three of them.
        width: factor k.
        dropout: probability of dropping, while training, an input of each block's last
            convolution; the paper's is 0.3 for CIFAR.
        scan_blocks: as in `CifarResNet`.
        num_classes: number of outputs. None: to be filled in from the data. 0: no classifier, the
            result is `features`.
        dtype: what it computes in.
        param_dtype: what it stores.
    """

    depth: int = 28
    width: int = 10
    dropout: float = 0.0
    scan_blocks: bool = False
    num_classes: int | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, stages: bool = False
    ) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
        """Maps x [B, H, W, C] to logits [B, num_classes], float32 at least.

        Needs the key `dropout` while training, if there is any.

        Raises:
            ValueError: x has other axes; the depth is not 6n + 4; or `num_classes` is None.
        """
        check_images(self, x, 1)
        _check_depth(self, 4)
        conv, norm = conv_and_norm(self.dtype, self.param_dtype, train)
        block = functools.partial(
            ResidualBlock,
            conv=conv,
            norm=norm,
            preactivated=True,
            drop=functools.partial(nn.Dropout, self.dropout, deterministic=not train),
        )
        outputs = {}
        outputs["stem"] = x = conv(16, window=(3, 3), padding=1, name="conv1")(x)
        x, seen = _three_stages(x, self.depth // 6, 16 * self.width, block, self.scan_blocks)
        x = nn.relu(norm(name="norm")(x))
        return classification_head(self, x, outputs | seen, stages)


class QuickResNet(nn.Module):
    """A residual network that learns much in few passes, after Page 2018 and Jordan 2024.

    The stem takes patches of the image, which overlap by half: a convolution that starts as their
    cosine transform in opponent colours (`nets.layers.filters.cosine_patches`), as many channels as
    a patch has values, then normalisation and GELU. As the transform's outputs hardly correlate in
    pictures, the normalisation whitens them, as Jordan's principal components do. Each stage is a
    3x3 convolution, where it pools 2x2 max pooling, normalisation and GELU, and a residual block of
    one more convolution, normalisation and GELU. Behind the last stand the greatest value of each
    channel and a linear layer, whose result is divided by eight.

    Stages: stem [B, 2H/p, 2W/p, p^2 C], p being the patch; layer1 [B, 2H/p, 2W/p, widths[0]],
    halved where it pools, layer2, ...; features [B, widths[-1]].

    Convolutions behind the stem start as He et al. 2015 (normal, by fan-out, truncated), the
    classifier LeCun normal.

    Attributes:
        widths: channels of each stage.
        pools: whether each stage pools.
        patch: side of a patch in pixels, even.
        num_classes: number of outputs. None: to be filled in from the data. 0: no classifier, the
            result is `features`.
        dtype: what it computes in.
        param_dtype: what it stores.
    """

    widths: tuple[int, ...] = (64, 128, 256)
    pools: tuple[bool, ...] = (False, True, True)
    patch: int = 4
    num_classes: int | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, stages: bool = False
    ) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
        """Maps x [B, H, W, C] to logits [B, num_classes], float32 at least.

        Raises:
            ValueError: x has other axes or is too small to be pooled so often; there are not as
                many `pools` as widths; the patch is not even; or `num_classes` is None.
        """
        if len(self.pools) != len(self.widths):
            raise ValueError(
                f"QuickResNet.pools={self.pools}: one for each of widths={self.widths} is valid"
            )
        if self.patch < 2 or self.patch % 2:
            raise ValueError(f"QuickResNet.patch={self.patch}: even numbers from 2 up are valid")
        check_images(self, x, self.patch // 2 * (2 ** sum(self.pools) - 1) + 1)
        conv, norm = conv_and_norm(self.dtype, self.param_dtype, train)
        block = functools.partial(conv_norm_act, norm=norm, activation=nn.gelu)
        outputs = {}
        outputs["stem"] = x = block(
            x,
            self.patch**2 * x.shape[-1],
            (self.patch, self.patch),
            self.patch // 2,
            conv=functools.partial(conv, kernel_init=cosine_patches),
            names=("stem_conv", "stem_bn"),
        )
        for i, (width, pool) in enumerate(zip(self.widths, self.pools, strict=True), 1):
            y = conv(width, window=(3, 3), name=f"layer{i}_conv1")(x)
            x = nn.gelu(norm(name=f"layer{i}_bn1")(max_pool(y, 2) if pool else y))
            names = (f"layer{i}_conv2", f"layer{i}_bn2")
            outputs[f"layer{i}"] = x = x + block(x, width, (3, 3), conv=conv, names=names)
        outputs["features"] = x = global_max(x)
        if self.num_classes:
            dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
            x = logits(self.num_classes, **dtypes, name="fc")(x) / 8
        return (x, outputs) if stages else x


def _check_depth(model: nn.Module, rest: int) -> None:
    if model.depth < 6 or model.depth % 6 != rest:
        valid = ", ".join(str(6 * n + rest) for n in (1, 2, 3))
        raise ValueError(
            f"{type(model).__name__}.depth is 6n + {rest}, such as {valid}, not {model.depth}"
        )


def _three_stages(x, blocks, width, block, scan):
    """x behind three stages, each twice as wide as the one before, and all three by name."""
    outputs = {}
    for stage in range(3):
        features, name = width * 2**stage, f"layer{stage + 1}"
        rest = functools.partial(block, layers=(ConvSpec(features, 3),) * 2)
        first = functools.partial(rest, strides=1 if stage == 0 else 2)
        outputs[name] = x = residual_stage(x, name, blocks, first, rest, scan=scan)
    return x, outputs
