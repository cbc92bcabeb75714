"""DenseNet: each layer sees the maps of all layers before it in its block.

Huang, Liu, van der Maaten and Weinberger, Densely Connected Convolutional Networks, CVPR 2017.
"""

import functools
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.classification_head import logits
from nets.layers.conv import HE, Conv
from nets.layers.conv_norm_act import conv_norm_act
from nets.layers.image_checks import check_images
from nets.layers.norm import BatchNorm
from nets.layers.pooling import average_pool, global_average, max_pool


class DenseNet(nn.Module):
    """DenseNet; as it stands DenseNet-121 (with bottlenecks and compression, "BC").

    Dense blocks, between them transitions: 1x1 convolution to fewer channels and 2x2 average
    pooling. Every convolution is pre-activated (normalisation, ReLU, convolution). Names are
    torchvision's. Stages: stem, layer1, layer2, ... what a dense block gives, features [B, C].

    Convolutions start as He et al. 2015 (normal, by fan-out, truncated), the classifier LeCun
    normal.

    Attributes:
        layers: number of layers in each dense block.
        growth: maps k that each of them adds.
        width: maps of the stem.
        bottleneck: a 1x1 convolution before each 3x3 one gives `bottleneck` k maps; None is none.
        compression: share of its maps that a transition keeps, rounded down.
        stem: "imagenet": 7x7 of stride 2, then 3x3 max pooling of stride 2; "cifar": 3x3.
        dropout: probability of dropping, while training, a value that any convolution but the
            stem's gives (the paper's is 0.2, on data without augmentation).
        num_classes: number of outputs. None: to be filled in from the data. 0: no classifier, the
            result is `features`.
        dtype: what it computes in.
        param_dtype: what it stores.
    """

    layers: tuple[int, ...] = (6, 12, 24, 16)
    growth: int = 32
    width: int = 64
    bottleneck: int | None = 4
    compression: float = 0.5
    stem: Literal["imagenet", "cifar"] = "imagenet"
    dropout: float = 0.0
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
            ValueError: x has other axes, or is too small for the transitions to halve it (29
                pixels are enough for DenseNet-121); the stem is unknown; `compression` is not in
                (0, 1]; or `num_classes` is None.
        """
        if self.stem not in ("imagenet", "cifar"):
            raise ValueError(f"DenseNet.stem is imagenet or cifar, not {self.stem}")
        if not 0 < self.compression <= 1:
            raise ValueError(f"DenseNet.compression={self.compression}: valid is above 0, up to 1")
        places = 2 ** (len(self.layers) - 1)  # that the stem has to leave along each axis
        check_images(self, x, places if self.stem == "cifar" else 4 * (places - 1) + 1)
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        trunk = Trunk(
            layers=self.layers,
            growth=self.growth,
            width=self.width,
            bottleneck=self.bottleneck,
            compression=self.compression,
            stem=self.stem,
            conv=functools.partial(Conv, use_bias=False, kernel_init=HE, **dtypes),
            norm=functools.partial(BatchNorm, use_running_average=not train, **dtypes),
            drop=functools.partial(nn.Dropout, self.dropout, deterministic=not train),
            name="features",
        )
        x, outputs = trunk(x)
        outputs["features"] = x = global_average(x)
        if self.num_classes:
            x = logits(self.num_classes, **dtypes, name="classifier")(x)
        return (x, outputs) if stages else x


class Trunk(nn.Module):
    """All of a DenseNet but the pooling at its end and the classifier.

    Attributes:
        layers, growth, width, bottleneck, compression, stem: as in `DenseNet`.
        conv: makes a convolution without bias, from features, window, strides and padding.
        norm: makes a batch normalisation.
        drop: makes a dropout.
    """

    layers: tuple[int, ...]
    growth: int
    width: int
    bottleneck: int | None
    compression: float
    stem: str
    conv: Callable[..., nn.Module]
    norm: Callable[..., nn.Module]
    drop: Callable[[], nn.Module]

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Maps x [B, H, W, C] to maps [B, H', W', C'], normalised and activated, and the stages."""
        parts = {"conv": self.conv, "norm": self.norm, "drop": self.drop}
        outputs = {}
        if self.stem == "imagenet":
            made = {"conv": self.conv, "norm": self.norm, "names": ("conv0", "norm0")}
            x = max_pool(conv_norm_act(x, self.width, (7, 7), 2, 3, **made), 3, 2, 1)
        else:
            x = self.conv(self.width, window=(3, 3), padding=1, name="conv0")(x)
        outputs["stem"] = x
        for i, layers in enumerate(self.layers, 1):
            block = DenseBlock(layers, self.growth, self.bottleneck, **parts, name=f"denseblock{i}")
            outputs[f"layer{i}"] = x = block(x)
            if i < len(self.layers):
                kept = int(self.compression * x.shape[-1])
                x = average_pool(Transition(kept, **parts, name=f"transition{i}")(x), 2)
        return nn.relu(self.norm(name=f"norm{len(self.layers) + 1}")(x)), outputs


class DenseBlock(nn.Module):
    """Layers each of which adds `growth` maps to those that it sees, which are all before it.

    Attributes:
        layers: number of them.
        growth: maps that each adds.
        bottleneck: as in `DenseNet`.
        conv, norm, drop: as in `Trunk`.
    """

    layers: int
    growth: int
    bottleneck: int | None
    conv: Callable[..., nn.Module]
    norm: Callable[..., nn.Module]
    drop: Callable[[], nn.Module]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [B, H, W, C] to [B, H, W, C + layers growth]: x, then what each layer adds."""
        for i in range(1, self.layers + 1):
            layer = DenseLayer(
                self.growth,
                self.bottleneck,
                self.conv,
                self.norm,
                self.drop,
                name=f"denselayer{i}",
            )
            x = jnp.concatenate([x, layer(x)], axis=-1)
        return x


class DenseLayer(nn.Module):
    """[norm1, ReLU, conv1 of 1x1, then] norm, ReLU and a 3x3 convolution.

    Attributes:
        growth: maps that it gives.
        bottleneck: as in `DenseNet`; the 3x3 convolution is conv2 with it, conv1 without.
        conv, norm, drop: as in `Trunk`.
    """

    growth: int
    bottleneck: int | None
    conv: Callable[..., nn.Module]
    norm: Callable[..., nn.Module]
    drop: Callable[[], nn.Module]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [B, H, W, C] to [B, H, W, growth]."""
        convolutions = [(self.growth, 3)]
        if self.bottleneck is not None:
            convolutions.insert(0, (self.bottleneck * self.growth, 1))
        for i, (features, window) in enumerate(convolutions, 1):
            x = nn.relu(self.norm(name=f"norm{i}")(x))
            conv = self.conv(
                features, window=(window, window), padding=window // 2, name=f"conv{i}"
            )
            x = self.drop()(conv(x))
        return x


class Transition(nn.Module):
    """Normalisation, ReLU and a 1x1 convolution.

    Attributes:
        features: maps that it gives.
        conv, norm, drop: as in `Trunk`.
    """

    features: int
    conv: Callable[..., nn.Module]
    norm: Callable[..., nn.Module]
    drop: Callable[[], nn.Module]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [B, H, W, C] to [B, H, W, features]."""
        x = nn.relu(self.norm(name="norm")(x))
        return self.drop()(self.conv(self.features, window=(1, 1), padding=0, name="conv")(x))


DenseNet121 = DenseNet
"""7,978,856 parameters for three channels and 1,000 classes; 2.834 G multiply-adds at 224 px."""

DenseNet169 = functools.partial(DenseNet, layers=(6, 12, 32, 32))
"""14,149,480 parameters."""

DenseNet201 = functools.partial(DenseNet, layers=(6, 12, 48, 32))
"""20,013,928 parameters."""

DenseNetBC100 = functools.partial(DenseNet, layers=(16, 16, 16), growth=12, width=24, stem="cifar")
"""DenseNet-BC of 100 layers and growth 12, for CIFAR: 769,162 parameters for ten classes."""
