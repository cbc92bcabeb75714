"""Fully convolutional networks: a classifier's maps, upsampled to a class for each pixel.

Long, Shelhamer and Darrell, Fully Convolutional Networks for Semantic Segmentation, CVPR 2015. With
dilated convolutions: Yu and Koltun, Multi-Scale Context Aggregation by Dilated Convolutions, ICLR
2016, in torchvision's form.
"""

import functools
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.checks import check_at_least, check_choice
from nets.layers.classification_head import conv_and_norm
from nets.layers.conv import HE, Conv
from nets.layers.conv_norm_act import conv_norm_act
from nets.layers.conv_transpose import ConvTranspose
from nets.layers.image_checks import check_images
from nets.layers.upsampling import bilinear_init, crop, crop_add, resize_bilinear
from nets.resnet import ResNet50, ResNet101
from nets.vgg import VGG

BORDER = 99
"""Zeros around the image in the published form; conv1_1 of VGG pads it by one more."""


class FCN(nn.Module):
    """FCN on any image network that hands out its stages: FCN-32s, with skips FCN-16s and FCN-8s.

    The smallest map goes through convolutions in place of the dense layers (fc6, fc7), then each
    map through a 1x1 convolution to scores. The scores are upsampled by a transposed convolution to
    the size of the next larger map and added to its scores, at last upsampled to the image
    (figure 3). Transposed convolutions are initialised as bilinear interpolation and are learned,
    scores are initialised to zero (section 4.2), fc6 and fc7 as in He et al. 2015.

    For three channels and 21 classes `FCN32s`, `FCN16s` and `FCN8s`, on VGG-16, have 136,152,917,
    134,815,994 and 134,489,759 parameters.

    >>> from nets.convnet import ConvNet
    >>> backbone = ConvNet((8, 16, 16), (3, 3, 3), num_classes=0)
    >>> model = FCN(backbone, ("pool2", "pool3"), (4, 8), num_classes=5, hidden=(32,), window=3)
    >>> x = jnp.zeros((2, 30, 41, 3))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 30, 41, 5)

    Attributes:
        backbone: the image network; it has its own `dtype`.
        stages: its spatial stages that are read, largest first.
        strides: pixels between neighbouring positions of each of them, each a multiple of the one
            before.
        num_classes: number of classes. None means that the data fills it in.
        hidden: channels of the convolutions of the smallest map, fc6, fc7, ...
        window: height and width of fc6; the others are 1x1.
        padding: "published": the image is padded by 99 zeros, fc6 not at all, and the scores are
            cropped at the offsets of the authors' release. "same": convolutions keep the size of
            maps, and the scores at the border are repeated before they are upsampled.
        dropout: probability of dropping a value of fc6, fc7, ... while training.
        dtype: computation dtype; scores are float32 at least.
        param_dtype: parameter dtype.
    """

    backbone: nn.Module
    stages: tuple[str, ...]
    strides: tuple[int, ...]
    num_classes: int | None = None
    hidden: tuple[int, ...] = (4096, 4096)
    window: int = 7
    padding: Literal["same", "published"] = "same"
    dropout: float = 0.5
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps x [B, H, W, C] to logits [B, H, W, num_classes], float32 at least.

        Needs the key `dropout` while training if `dropout` is above 0.

        Raises:
            ValueError: x is not [B, H, W, C] or too small for the backbone; `num_classes` is None
                or 0; a stage is unknown or does not have its stride; the numbers of stages and
                strides differ; `hidden` is empty; or `padding` is unknown.
        """
        self._check(x)
        published, size = self.padding == "published", x.shape[1:3]
        if published:
            x = jnp.pad(x, ((0, 0), (BORDER,) * 2, (BORDER,) * 2, (0, 0)))
        maps = self._maps(x, train)
        conv = functools.partial(
            Conv, padding="VALID" if published else "SAME", param_dtype=self.param_dtype
        )
        wide = jnp.promote_types(self.dtype, jnp.float32)
        score = functools.partial(
            conv, self.num_classes, (1, 1), kernel_init=nn.initializers.zeros, dtype=wide
        )
        y = maps[-1]
        for i, features in enumerate(self.hidden):
            window = (1 if i else self.window,) * 2
            y = conv(features, window, kernel_init=HE, dtype=self.dtype, name=f"fc{i + 6}")(y)
            y = nn.Dropout(self.dropout, deterministic=not train)(nn.relu(y))
        y = score(name=f"score_{self.stages[-1]}")(y)
        offset = self.window // 2  # of the first score, in positions of the stage
        for i in reversed(range(len(maps))):
            factor = self.strides[i] // (self.strides[i - 1] if i else 1)
            upsample = ConvTranspose(
                self.num_classes,
                (2 * factor - factor % 2,) * 2,
                factor,
                "VALID",
                use_bias=False,
                kernel_init=bilinear_init,
                dtype=wide,
                param_dtype=self.param_dtype,
                name=f"upsample_{self.stages[i]}",
            )
            skip = score(name=f"score_{self.stages[i - 1]}")(maps[i - 1]) if i else None
            if published:
                y, offset = upsample(y), factor * offset - factor // 2
                y = crop(y, size, BORDER - offset) if skip is None else crop_add(y, skip, offset)
            else:
                y = upsampled_to(y, size if skip is None else skip.shape[1:3], upsample)
                y = y if skip is None else y + skip
        return y

    def _maps(self, x: jax.Array, train: bool) -> list[jax.Array]:
        """The maps of the stages for images of this padded size."""
        _, stages = self.backbone(x, train=train, stages=True)
        maps = []
        for name, stride in zip(self.stages, self.strides, strict=True):
            if name not in stages:
                raise ValueError(
                    f"FCN.stages must be of {', '.join(stages)}, the stages of "
                    f"{type(self.backbone).__name__}, got {name!r}"
                )
            shape = stages[name].shape
            if len(shape) != 4 or abs(shape[1] * stride - x.shape[1]) >= 4 * stride:
                raise ValueError(
                    f"FCN.strides must be those of the stages: {name!r} is {list(shape)} for "
                    f"images {list(x.shape)}, got stride {stride}"
                )
            maps.append(stages[name])
        return maps

    def _check(self, x: jax.Array) -> None:
        check_images(self, x, 1)
        check_at_least("FCN.num_classes", self.num_classes, 1)
        check_at_least("len(FCN.hidden)", len(self.hidden), 1)
        check_choice("FCN.padding", self.padding, ("same", "published"))
        strides = np.array((1, *self.strides))
        if len(self.stages) != len(self.strides) or np.any(strides[1:] % strides[:-1]):
            raise ValueError(
                f"FCN.strides must have one stride for each of stages={self.stages}, each a "
                f"multiple of the one before, got {self.strides}"
            )


def upsampled_to(y: jax.Array, size: tuple[int, int], upsample: ConvTranspose) -> jax.Array:
    """y [B, h, w, C] upsampled to [B, H, W, C] by a layer without padding.

    The border of y is repeated outside, so that the border of the result has neighbours. The first
    position of y is over the first `strides` pixels; if y is smaller or larger than the result by a
    position or more, its middle is over the middle of the result.
    """
    factor = upsample.strides
    gaps = np.subtract(size, np.multiply(factor, y.shape[1:3]))
    ring = 1 + max(0, *gaps) // factor
    y = jnp.pad(y, ((0, 0), (ring, ring), (ring, ring), (0, 0)), mode="edge")
    moved = np.where(np.abs(gaps) < factor, 0, gaps // 2)
    return crop(upsample(y), size, factor * ring + factor // 2 - moved)


class DilatedFCN(nn.Module):
    """FCN with dilated convolutions in the backbone, one head, and bilinear resizing.

    The head is a 3x3 convolution to a quarter of the channels, batch normalisation, ReLU, dropout
    and a 1x1 convolution; names are torchvision's. For three channels and 21 classes
    `FCNResNet50` has 32,957,013 parameters, with its auxiliary head 35,322,218 (torchvision's
    fcn_resnet50). `vision_from_torch` takes its weights.

    While training, and only with `stages=True`, a model with an auxiliary head also has the stage
    aux1: logits [B, H, W, num_classes], for a task to add their loss (in torchvision's recipe with
    weight 0.5). `init` always creates the head's parameters. Convolutions are initialised as in He
    et al. 2015, the last of a head as LeCun normal.

    >>> from nets.resnet import ResNet
    >>> backbone = ResNet((1, 1, 1, 1), width=8, num_classes=0, dilated_stages=2)
    >>> model, x = DilatedFCN(backbone, num_classes=5), jnp.zeros((2, 30, 41, 3))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 30, 41, 5)

    Attributes:
        backbone: the image network; it has its own `dtype`.
        stage: its spatial stage that the head reads.
        auxiliary_stage: the stage that the auxiliary head reads.
        num_classes: number of classes. None means that the data fills it in.
        auxiliary: whether there is an auxiliary head.
        dropout: probability of dropping a value before the last convolution while training.
        dtype: computation dtype; logits are float32 at least.
        param_dtype: parameter dtype.
    """

    backbone: nn.Module
    stage: str = "layer4"
    auxiliary_stage: str = "layer3"
    num_classes: int | None = None
    auxiliary: bool = False
    dropout: float = 0.1
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, stages: bool = False
    ) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
        """Maps x [B, H, W, C] to logits [B, H, W, num_classes], float32 at least.

        Needs the key `dropout` while training if `dropout` is above 0. With `stages` the result is
        `(logits, stages)`, the stages of the backbone and aux1.

        Raises:
            ValueError: x is not [B, H, W, C] or too small for the backbone; `num_classes` is None
                or 0; or a stage is unknown.
        """
        check_images(self, x, 1)
        check_at_least("DilatedFCN.num_classes", self.num_classes, 1)
        _, maps = self.backbone(x, train=train, stages=True)
        heads = {"classifier": self.stage}
        if self.auxiliary and (self.is_initializing() or (train and stages)):
            heads["aux_classifier"] = self.auxiliary_stage
        if unknown := [name for name in heads.values() if name not in maps]:
            raise ValueError(
                f"DilatedFCN's stages must be of {', '.join(maps)}, the stages of "
                f"{type(self.backbone).__name__}, got {unknown[0]!r}"
            )
        made = {
            name: resize_bilinear(self._head(maps[stage], name, train), x.shape[1:3])
            for name, stage in heads.items()
        }
        if "aux_classifier" in made:
            maps = maps | {"aux1": made["aux_classifier"]}
        return (made["classifier"], maps) if stages else made["classifier"]

    def _head(self, x: jax.Array, name: str, train: bool) -> jax.Array:
        conv, norm = conv_and_norm(self.dtype, self.param_dtype, train)
        made = {"conv": conv, "norm": norm, "names": (f"{name}_0", f"{name}_1")}
        x = conv_norm_act(x, x.shape[-1] // 4, (3, 3), **made)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        wide = jnp.promote_types(self.dtype, jnp.float32)
        return Conv(
            self.num_classes, (1, 1), dtype=wide, param_dtype=self.param_dtype, name=f"{name}_4"
        )(x)


_VGG16 = functools.partial(FCN, VGG(16, num_classes=0, ceil=True), padding="published")

FCN32s = functools.partial(_VGG16, ("pool5",), (32,))
"""FCN-32s as published: 136,152,917 parameters for 21 classes."""

FCN16s = functools.partial(_VGG16, ("pool4", "pool5"), (16, 32))
"""FCN-16s as published: 134,815,994 parameters."""

FCN8s = functools.partial(_VGG16, ("pool3", "pool4", "pool5"), (8, 16, 32))
"""FCN-8s as published: 134,489,759 parameters."""

FCNResNet50 = functools.partial(DilatedFCN, ResNet50(num_classes=0, dilated_stages=2))
"""torchvision's fcn_resnet50; 35,322,218 parameters for 21 classes with `auxiliary`."""

FCNResNet101 = functools.partial(DilatedFCN, ResNet101(num_classes=0, dilated_stages=2))
"""torchvision's fcn_resnet101."""
