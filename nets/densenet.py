"""DenseNet: each layer reads the maps of all earlier layers of its block.

Huang, Liu, van der Maaten and Weinberger, Densely Connected Convolutional Networks, CVPR 2017.
"""

import functools
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.checks import check_choice
from nets.layers.classification_head import conv_and_norm, logits
from nets.layers.conv_norm_act import conv_norm_act
from nets.layers.image_checks import check_images
from nets.layers.initialisers import initialiser
from nets.layers.pooling import average_pool, global_average, max_pool
from nets.types import KernelInit

Stem = Literal["imagenet", "cifar"]


class DenseNet(nn.Module):
    """DenseNet; by default DenseNet-121 (with bottlenecks and compression, "BC").

    Dense blocks with transitions between them: a 1x1 convolution to fewer channels and 2x2 average
    pooling. Every convolution is pre-activated (normalisation, ReLU, convolution). Names are
    torchvision's. Stages: stem; layer1, layer2, ..., the outputs of the dense blocks; features
    [B, C].

    Convolutions are initialised as in He et al. 2015 (truncated normal, by fan-out), the classifier
    as LeCun normal.

    >>> model, x = DenseNet(num_classes=10), jnp.zeros((2, 32, 32, 3))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 10)

    Attributes:
        layers: number of layers in each dense block.
        growth: growth rate k, the number of maps that each layer adds.
        width: number of maps of the stem.
        bottleneck: a 1x1 convolution to `bottleneck` k maps comes before each 3x3 one. None means
            no such convolution.
        compression: output maps of a transition as a fraction of its input maps, rounded down.
        stem: imagenet is a 7x7 convolution of stride 2 and 3x3 max pooling of stride 2; cifar is a
            3x3 convolution.
        dropout: probability of dropping an output of any convolution but the stem's while training
            (the paper's is 0.2, on data without augmentation).
        num_classes: number of classes. None means that the data fills it in; 0 means no classifier,
            and `features` as the result.
        kernel_init: initialiser of every kernel, by name (`nets.layers.initialisers`). None means
            those stated above.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    layers: tuple[int, ...] = (6, 12, 24, 16)
    growth: int = 32
    width: int = 64
    bottleneck: int | None = 4
    compression: float = 0.5
    stem: Stem = "imagenet"
    dropout: float = 0.0
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
            ValueError: x is not [B, H, W, C], or is too small for the transitions to halve it (29
                pixels are enough for DenseNet-121); `stem` is unknown; `compression` is not
                in (0, 1]; or `num_classes` is None.
        """
        check_choice("DenseNet.stem", self.stem, Stem)
        if not 0 < self.compression <= 1:
            raise ValueError(f"DenseNet.compression must be in (0, 1], got {self.compression}")
        minimum = 2 ** (len(self.layers) - 1)  # height and width of the stem's output
        check_images(self, x, minimum if self.stem == "cifar" else 4 * (minimum - 1) + 1)
        conv, norm = conv_and_norm(self.dtype, self.param_dtype, train, self.kernel_init)
        trunk = Trunk(
            layers=self.layers,
            growth=self.growth,
            width=self.width,
            bottleneck=self.bottleneck,
            compression=self.compression,
            stem=self.stem,
            conv=conv,
            norm=norm,
            drop=functools.partial(nn.Dropout, self.dropout, deterministic=not train),
            name="features",
        )
        x, outputs = trunk(x)
        outputs["features"] = x = global_average(x)
        if self.num_classes:
            options = {"kernel_init": initialiser(self.kernel_init)}
            options |= {"dtype": self.dtype, "param_dtype": self.param_dtype}
            x = logits(self.num_classes, **options, name="classifier")(x)
        return (x, outputs) if stages else x


class Trunk(nn.Module):
    """A DenseNet without its global pooling and classifier.

    >>> conv, norm = conv_and_norm(jnp.float32, jnp.float32, train=False)
    >>> drop = functools.partial(nn.Dropout, 0.0, deterministic=True)
    >>> trunk = Trunk((2, 2), 12, 24, None, 0.5, "cifar", conv, norm, drop)
    >>> init = trunk.init_with_output
    >>> jax.eval_shape(init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))[0][0].shape
    (1, 4, 4, 48)

    Attributes:
        layers, growth, width, bottleneck, compression, stem: as in `DenseNet`.
        conv: makes a convolution without bias.
        norm: makes a batch normalisation.
        drop: makes a dropout.
    """

    layers: tuple[int, ...]
    growth: int
    width: int
    bottleneck: int | None
    compression: float
    stem: Stem
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
                features = int(self.compression * x.shape[-1])
                x = average_pool(Transition(features, **parts, name=f"transition{i}")(x), 2)
        return nn.relu(self.norm(name=f"norm{len(self.layers) + 1}")(x)), outputs


class DenseBlock(nn.Module):
    """Layers that each read all maps so far and add `growth` maps.

    >>> conv, norm = conv_and_norm(jnp.float32, jnp.float32, train=False)
    >>> drop = functools.partial(nn.Dropout, 0.0, deterministic=True)
    >>> block, x = DenseBlock(3, 12, 4, conv, norm, drop), jnp.zeros((1, 8, 8, 24))
    >>> jax.eval_shape(block.init_with_output, jax.random.key(0), x)[0].shape
    (1, 8, 8, 60)

    Attributes:
        layers: number of layers.
        growth: number of maps that each layer adds.
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
        """Maps x [B, H, W, C] to [B, H, W, C + layers * growth]: x, then the maps of each layer."""
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
    """Normalisation, ReLU and 3x3 convolution, after a 1x1 bottleneck if there is one.

    >>> conv, norm = conv_and_norm(jnp.float32, jnp.float32, train=False)
    >>> drop = functools.partial(nn.Dropout, 0.0, deterministic=True)
    >>> block, x = DenseLayer(12, 4, conv, norm, drop), jnp.zeros((1, 8, 8, 24))
    >>> jax.eval_shape(block.init_with_output, jax.random.key(0), x)[0].shape
    (1, 8, 8, 12)

    Attributes:
        growth: number of output maps.
        bottleneck: as in `DenseNet`; the 3x3 convolution is named conv2 with it, conv1 without.
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

    >>> conv, norm = conv_and_norm(jnp.float32, jnp.float32, train=False)
    >>> drop = functools.partial(nn.Dropout, 0.0, deterministic=True)
    >>> block, x = Transition(12, conv, norm, drop), jnp.zeros((1, 8, 8, 24))
    >>> jax.eval_shape(block.init_with_output, jax.random.key(0), x)[0].shape
    (1, 8, 8, 12)

    Attributes:
        features: number of output maps.
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
