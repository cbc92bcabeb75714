"""Residual networks for images of 32 x 32: those of He et al., Wide ResNets, and a fast one.

He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition, CVPR 2016, section 4.2.
Zagoruyko and Komodakis, Wide Residual Networks, BMVC 2016.
Page, How to Train Your ResNet, 2018; Jordan, 94% on CIFAR-10 in 3.29 Seconds on a Single GPU, 2024.
"""

import functools
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.checks import check_choice
from nets.layers.classification_head import classification_head, conv_and_norm, logits
from nets.layers.conv_norm_act import conv_norm_act
from nets.layers.filters import cosine_patches
from nets.layers.image_checks import check_images
from nets.layers.initialisers import initialiser
from nets.layers.pooling import global_max, max_pool
from nets.layers.residual import ConvSpec, ResidualBlock, residual_stage
from nets.types import KernelInit

Shortcut = Literal["A", "B", "none"]


class CifarResNet(nn.Module):
    """ResNet of 6n + 2 layers: three stages of n blocks of two 3x3 convolutions.

    For ten classes and three channels, by depth: 20: 269,722 parameters; 32: 464,154; 44: 658,586;
    56: 853,018; 110: 1,727,962; 1202: 19,421,274. Multiply-adds at 32 px: 40,551,040 for depth 20,
    2.829 G for depth 1202. Names are torchvision's. Stages: stem and layer1 [B, H, W, width],
    layer2 [B, H/2, W/2, 2 width], layer3 [B, H/4, W/4, 4 width], features [B, 4 width].

    Convolutions are initialised as in He et al. 2015 (truncated normal, by fan-out), the classifier
    as LeCun normal.

    `scan_blocks` is for the deepest, because compile time no longer grows with depth: forward and
    gradient of depth 1202 at batch 128 are traced in 0.4 s and compiled in 2.1 s, those of depth
    110 without scan in 2.8 and 6.6 s; a step at depth 110 takes 1.27 times as long in the scan.
    (`python tests/benchmarks/depth.py`, two cores of an AMD EPYC, AVX-512.)
    `nets.layers.scan_blocks` converts the variables.

    >>> model, x = CifarResNet(depth=20, num_classes=10), jnp.zeros((2, 32, 32, 3))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 10)

    Attributes:
        depth: number of layers with weights; the paper's are 20, 32, 44, 56, 110 and 1202.
        shortcut: the shortcut of the first block of a stage; A is x, strided and padded with zero
            channels, B is a 1x1 convolution with batch normalisation. none leaves out all shortcuts
            of the network, which makes it the paper's plain one.
        width: channels of the first stage.
        zero_init: whether each block is initialised to its shortcut (Goyal et al. 2017).
        scan_blocks: whether all blocks of a stage but the first run as one scan.
        num_classes: number of classes. None means that the data fills it in; 0 means no classifier,
            and `features` as the result.
        kernel_init: initialiser of every kernel, by name (`nets.layers.initialisers`). None means
            those stated above.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    depth: int = 20
    shortcut: Shortcut = "A"
    width: int = 16
    zero_init: bool = False
    scan_blocks: bool = False
    num_classes: int | None = None
    kernel_init: KernelInit | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, stages: bool = False
    ) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
        """Maps x [B, H, W, C] to logits [B, num_classes], float32 at least.

        Raises:
            ValueError: x is not [B, H, W, C]; `depth` is not 6n + 2; `shortcut` is unknown, or none
                with `zero_init`; or `num_classes` is None.
        """
        check_images(self, x, 1)
        _check_depth(self, 2)
        check_choice("CifarResNet.shortcut", self.shortcut, Shortcut)
        conv, norm = conv_and_norm(self.dtype, self.param_dtype, train, self.kernel_init)
        if self.zero_init and self.shortcut == "none":
            raise ValueError("CifarResNet.zero_init must be false without shortcuts, got True")
        block = functools.partial(
            ResidualBlock,
            conv=conv,
            norm=norm,
            plain=self.shortcut == "none",
            padded=self.shortcut == "A",
            zero_init=self.zero_init,
        )
        outputs = {}
        made = {"conv": conv, "norm": norm, "names": ("conv1", "bn1")}
        outputs["stem"] = x = conv_norm_act(x, self.width, (3, 3), **made)
        x, stage_outputs = _three_stages(x, self.depth // 6, self.width, block, self.scan_blocks)
        return classification_head(self, x, outputs | stage_outputs, stages)


class WideResNet(nn.Module):
    """Wide ResNet: three stages of pre-activated blocks, `width` times as wide as in He et al.

    For ten classes and three channels WRN-28-10 has 36,479,194 parameters and 5.243 G multiply-adds
    at 32 px, WRN-40-4 8,949,210 and 1.299 G. The last normalisation is named "norm". Stages: stem
    [B, H, W, 16], layer1 [B, H, W, 16 width], layer2, layer3 and features as in `CifarResNet`.

    Convolutions are initialised as in He et al. 2015 (truncated normal, by fan-out), the classifier
    as LeCun normal.

    >>> model, x = WideResNet(depth=10, width=2, num_classes=10), jnp.zeros((2, 32, 32, 3))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 10)

    Attributes:
        depth: number of layers with weights, 6n + 4, including the three projections.
        width: widening factor k.
        dropout: probability of dropping an input of each block's last convolution while training;
            the paper's is 0.3 for CIFAR.
        scan_blocks: as in `CifarResNet`.
        num_classes: number of classes. None means that the data fills it in; 0 means no classifier,
            and `features` as the result.
        kernel_init: initialiser of every kernel, by name (`nets.layers.initialisers`). None means
            those stated above.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    depth: int = 28
    width: int = 10
    dropout: float = 0.0
    scan_blocks: bool = False
    num_classes: int | None = None
    kernel_init: KernelInit | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, stages: bool = False
    ) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
        """Maps x [B, H, W, C] to logits [B, num_classes], float32 at least.

        Needs the key `dropout` while training if `dropout` is above 0.

        Raises:
            ValueError: x is not [B, H, W, C]; `depth` is not 6n + 4; or `num_classes` is None.
        """
        check_images(self, x, 1)
        _check_depth(self, 4)
        conv, norm = conv_and_norm(self.dtype, self.param_dtype, train, self.kernel_init)
        block = functools.partial(
            ResidualBlock,
            conv=conv,
            norm=norm,
            preactivated=True,
            drop=functools.partial(nn.Dropout, self.dropout, deterministic=not train),
        )
        outputs = {}
        outputs["stem"] = x = conv(16, window=(3, 3), padding=1, name="conv1")(x)
        x, stage_outputs = _three_stages(
            x, self.depth // 6, 16 * self.width, block, self.scan_blocks
        )
        x = nn.relu(norm(name="norm")(x))
        return classification_head(self, x, outputs | stage_outputs, stages)


class QuickResNet(nn.Module):
    """A residual network for fast training, in the manner of airbench (Page 2018, Jordan 2024).

    The stem is a convolution over patches that overlap by half, initialised to their cosine
    transform in opponent colours (`nets.layers.filters.cosine_patches`) with as many channels as a
    patch has values, then normalisation and GELU. The transform's outputs are nearly uncorrelated
    in natural images, so the normalisation whitens them, as Jordan's principal components do. Each
    stage is a 3x3 convolution, 2x2 max pooling if it pools, normalisation and GELU, then a residual
    block of one convolution, normalisation and GELU. The head is global max pooling and a linear
    layer whose output is divided by eight.

    Stages: stem [B, 2H/p, 2W/p, p^2 C], where p is `patch`; layer1 [B, 2H/p, 2W/p, widths[0]], half
    as high and wide if it pools, layer2, ...; features [B, widths[-1]].

    Convolutions after the stem are initialised as in He et al. 2015 (truncated normal, by fan-out),
    the classifier as LeCun normal.

    >>> model, x = QuickResNet(num_classes=10), jnp.zeros((2, 32, 32, 3))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 10)

    Attributes:
        widths: channels of each stage.
        pools: whether each stage pools.
        patch: height and width of a patch in pixels, even.
        num_classes: number of classes. None means that the data fills it in; 0 means no classifier,
            and `features` as the result.
        kernel_init: initialiser of every kernel after the stem, by name
            (`nets.layers.initialisers`). None means those stated above.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    widths: tuple[int, ...] = (64, 128, 256)
    pools: tuple[bool, ...] = (False, True, True)
    patch: int = 4
    num_classes: int | None = None
    kernel_init: KernelInit | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, stages: bool = False
    ) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
        """Maps x [B, H, W, C] to logits [B, num_classes], float32 at least.

        Raises:
            ValueError: x is not [B, H, W, C] or is too small for the poolings; the numbers of
                `pools` and `widths` differ; `patch` is not even; or `num_classes` is None.
        """
        if len(self.pools) != len(self.widths):
            raise ValueError(
                f"QuickResNet.pools must have one entry for each of widths={self.widths}, "
                f"got {self.pools}"
            )
        if self.patch < 2 or self.patch % 2:
            raise ValueError(f"QuickResNet.patch must be even and at least 2, got {self.patch}")
        check_images(self, x, self.patch // 2 * (2 ** sum(self.pools) - 1) + 1)
        conv, norm = conv_and_norm(self.dtype, self.param_dtype, train, self.kernel_init)
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
            options = {"kernel_init": initialiser(self.kernel_init)}
            options |= {"dtype": self.dtype, "param_dtype": self.param_dtype}
            x = logits(self.num_classes, **options, name="fc")(x) / 8
        return (x, outputs) if stages else x


def _check_depth(model: nn.Module, rest: int) -> None:
    if model.depth < 6 or model.depth % 6 != rest:
        valid = ", ".join(str(6 * n + rest) for n in (1, 2, 3))
        raise ValueError(
            f"{type(model).__name__}.depth must be 6n + {rest}, such as {valid}, got {model.depth}"
        )


def _three_stages(
    x: jax.Array, blocks: int, width: int, block: Callable[..., nn.Module], scan: bool
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Three stages, each twice as wide as the previous one: the output, and all three by name."""
    outputs = {}
    for stage in range(3):
        features, name = width * 2**stage, f"layer{stage + 1}"
        rest = functools.partial(block, layers=(ConvSpec(features, 3),) * 2)
        first = functools.partial(rest, strides=1 if stage == 0 else 2)
        outputs[name] = x = residual_stage(x, name, blocks, first, rest, scan=scan)
    return x, outputs
