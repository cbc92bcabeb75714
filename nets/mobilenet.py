"""MobileNet v1 and v2: depthwise convolutions, and 1x1 convolutions that mix the channels.

Howard et al., MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications,
arXiv:1704.04861, 2017. Sandler, Howard, Zhu, Zhmoginov and Chen, MobileNetV2: Inverted Residuals
and Linear Bottlenecks, CVPR 2018.
"""

import functools
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.checks import check_positive
from nets.layers.classification_head import conv_and_norm, logits
from nets.layers.conv_norm_act import ConvNormAct
from nets.layers.image_checks import check_images
from nets.layers.initialisers import initialiser
from nets.layers.pooling import global_average
from nets.types import Activation, KernelInit

V1 = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1),) * 5,
    *((1024, 2), (1024, 1)),
)
"""Howard et al. 2017, table 1: channels and stride of each separable convolution.

The last stride is 2 in the paper's table, but 1 in its sizes and in the authors' release.
"""

V2 = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Sandler et al. 2018, table 2: expansion t, channels c, blocks n, stride s of the first."""

NAMES = ("0", "1")
"""Names of a block's convolution and normalisation, their positions in torchvision's block."""


class MobileNetV1(nn.Module):
    """MobileNet v1: a 3x3 convolution, 13 depthwise separable ones, average, linear classifier.

    For three channels and 1,000 classes 4,231,976 parameters and 569 M multiply-adds at 224 px.
    Batch normalisation and a ReLU follow every convolution, also the depthwise ones. Stages: stem
    [B, H/2, W/2, 32 width], block1, ... block13 [B, H/32, W/32, 1024 width], features
    [B, 1024 width].

    Convolutions are initialised as in He et al. 2015 (truncated normal, by fan-out), the classifier
    as LeCun normal.

    >>> model, x = MobileNetV1(num_classes=10), jnp.zeros((2, 64, 64, 3))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 10)

    Attributes:
        width: factor of all numbers of channels (the paper's alpha), which are at least 8.
        activation: nonlinearity; ReLU in the paper, ReLU6 in the authors' release.
        momentum: weight of the old value in the running statistics; the release's is 0.9997.
        dropout: probability of dropping an input of the classifier while training.
        num_classes: number of classes. None means that the data fills it in; 0 means no classifier,
            and `features` as the result.
        kernel_init: initialiser of every kernel, by name (`nets.layers.initialisers`). None means
            those stated above.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    width: float = 1.0
    activation: Activation = nn.relu6
    momentum: float = 0.9997
    dropout: float = 0.001
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
            ValueError: x is not [B, H, W, C]; `width` is not positive; or `num_classes` is None.
        """
        check_images(self, x, 1)
        check_positive(f"{type(self).__name__}.width", self.width)
        conv, norm = conv_and_norm(self.dtype, self.param_dtype, train, self.kernel_init)
        unit = functools.partial(
            ConvNormAct,
            names=NAMES,
            activation=self.activation,
            conv=conv,
            norm=functools.partial(norm, momentum=self.momentum, epsilon=1e-3),
        )

        def scaled(channels: int) -> int:
            return max(int(channels * self.width), 8)

        outputs = {}
        outputs["stem"] = x = unit(scaled(32), (3, 3), 2, name="features_0")(x)
        for i, (channels, strides) in enumerate(V1, 1):
            depthwise = {"window": (3, 3), "strides": strides, "groups": x.shape[-1]}
            x = unit(x.shape[-1], **depthwise, name=f"features_{i}_0")(x)
            outputs[f"block{i}"] = x = unit(scaled(channels), name=f"features_{i}_1")(x)
        outputs["features"] = x = global_average(x)
        if self.num_classes:
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
            x = logits(
                self.num_classes,
                kernel_init=initialiser(self.kernel_init),
                dtype=self.dtype,
                param_dtype=self.param_dtype,
                name="classifier_1",
            )(x)
        return (x, outputs) if stages else x


class MobileNetV2(nn.Module):
    """MobileNet v2, with torchvision's names and padding.

    For three channels and 1,000 classes 3,504,872 parameters and 301 M multiply-adds at 224 px.
    A 3x3 convolution, 17 inverted residuals, a 1x1 convolution, average, linear classifier; ReLU6.
    Stages: stem [B, H/2, W/2, 32], block1, ... block17 [B, H/32, W/32, 320], last
    [B, H/32, W/32, 1280], features [B, 1280].

    Convolutions are initialised as in He et al. 2015 (truncated normal, by fan-out), the classifier
    as LeCun normal.

    >>> model, x = MobileNetV2(num_classes=10), jnp.zeros((2, 64, 64, 3))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 10)

    Attributes:
        width: factor of all numbers of channels, which are rounded to multiples of 8; the last
            convolution has at least 1,280.
        dropout: probability of dropping an input of the classifier while training.
        num_classes: number of classes. None means that the data fills it in; 0 means no classifier,
            and `features` as the result.
        kernel_init: initialiser of every kernel, by name (`nets.layers.initialisers`). None means
            those stated above.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    width: float = 1.0
    dropout: float = 0.2
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
            ValueError: x is not [B, H, W, C]; `width` is not positive; or `num_classes` is None.
        """
        check_images(self, x, 1)
        check_positive(f"{type(self).__name__}.width", self.width)
        conv, norm = conv_and_norm(self.dtype, self.param_dtype, train, self.kernel_init)
        made = {"activation": nn.relu6, "conv": conv, "norm": norm}
        outputs = {}
        thin = multiple_of_8(32 * self.width)
        unit = functools.partial(ConvNormAct, names=NAMES, **made)
        outputs["stem"] = x = unit(thin, (3, 3), 2, 1, name="features_0")(x)
        position = 0
        for expansion, channels, blocks, first in V2:
            for block in range(blocks):
                position += 1
                outputs[f"block{position}"] = x = InvertedResidual(
                    features=multiple_of_8(channels * self.width),
                    expanded=x.shape[-1] * expansion,
                    strides=first if block == 0 else 1,
                    sequence="conv",
                    **made,
                    name=f"features_{position}",
                )(x)
        last = multiple_of_8(1280 * max(1.0, self.width))
        outputs["last"] = x = unit(last, name=f"features_{position + 1}")(x)
        outputs["features"] = x = global_average(x)
        if self.num_classes:
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
            x = logits(
                self.num_classes,
                kernel_init=initialiser(self.kernel_init),
                dtype=self.dtype,
                param_dtype=self.param_dtype,
                name="classifier_1",
            )(x)
        return (x, outputs) if stages else x


class InvertedResidual(nn.Module):
    """Inverted residual: 1x1 to more channels, depthwise, linear 1x1 to few channels, plus x.

    There is no first convolution if x already has the expanded channels; x is added if the stride
    is 1 and the shapes are equal (Sandler et al. 2018, figure 4d).

    >>> conv, norm = conv_and_norm(jnp.float32, jnp.float32, train=False)
    >>> made = {"activation": nn.relu6, "sequence": "conv", "conv": conv, "norm": norm}
    >>> block, x = InvertedResidual(24, 96, 2, **made), jnp.zeros((1, 8, 8, 16))
    >>> jax.eval_shape(block.init_with_output, jax.random.key(0), x)[0].shape
    (1, 4, 4, 24)

    Attributes:
        features: number of output channels F.
        expanded: number of channels of the depthwise convolution.
        strides: strides of the depthwise convolution.
        activation: nonlinearity of the first two convolutions.
        sequence: torchvision's name of the chain of parts: "conv", where the last convolution and
            its normalisation are two parts, or "block", where they are one.
        conv, norm: as in `ConvNormAct`.
        window: height and width of the depthwise kernel.
        excite: makes a squeeze-and-excitation layer after the depthwise convolution. None means
            there is none.
    """

    features: int
    expanded: int
    strides: int
    activation: Activation
    sequence: Literal["conv", "block"]
    conv: Callable[..., nn.Module]
    norm: Callable[..., nn.Module]
    window: int = 3
    excite: Callable[..., nn.Module] | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [B, H, W, C] to [B, H / strides, W / strides, F], rounded up."""
        unit = functools.partial(ConvNormAct, conv=self.conv, norm=self.norm, names=NAMES)
        wide = functools.partial(unit, self.expanded, activation=self.activation)
        depthwise = {"window": (self.window,) * 2, "padding": self.window // 2}
        depthwise |= {"strides": self.strides, "groups": self.expanded}
        chain = [wide] if self.expanded != x.shape[-1] else []
        chain += [functools.partial(wide, **depthwise)]
        chain += [self.excite] if self.excite else []
        if self.sequence == "block":
            chain += [functools.partial(unit, self.features, activation=None)]
        else:
            chain += [functools.partial(self.conv, self.features, (1, 1)), self.norm]
        y = x
        for position, part in enumerate(chain):
            y = part(name=f"{self.sequence}_{position}")(y)
        return x + y if self.strides == 1 and x.shape == y.shape else y


def multiple_of_8(channels: float) -> int:
    """The nearest multiple of 8, at least 8; the next one if that is below 0.9 of `channels`.

    The rule of torchvision and of the authors' releases of v2 and v3.
    """
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest
