"""GoogLeNet: convolutions of several window sizes in parallel (Inception blocks).

Szegedy et al., Going Deeper with Convolutions, CVPR 2015.
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
from nets.layers.conv_norm_act import ConvNormAct
from nets.layers.image_checks import check_images
from nets.layers.initialisers import LECUN, initialiser
from nets.layers.norm import local_response_norm
from nets.layers.pooling import average_pool, global_average, max_pool
from nets.layers.pooling_adaptive import adaptive_average
from nets.types import KernelInit

Version = Literal["torchvision", "2014"]

INCEPTIONS = {
    "inception3a": (64, 96, 128, 16, 32, 32),
    "inception3b": (128, 128, 192, 32, 96, 64),
    "inception4a": (192, 96, 208, 16, 48, 64),
    "inception4b": (160, 112, 224, 24, 64, 64),
    "inception4c": (128, 128, 256, 24, 64, 64),
    "inception4d": (112, 144, 288, 32, 64, 64),
    "inception4e": (256, 160, 320, 32, 128, 128),
    "inception5a": (256, 160, 320, 32, 128, 128),
    "inception5b": (384, 192, 384, 48, 128, 128),
}
"""The paper's table 1: channels of 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5 and pool projection."""

AUXILIARY = {"inception4a": "aux1", "inception4d": "aux2"}
"""The block that each auxiliary head reads."""


class GoogLeNet(nn.Module):
    """GoogLeNet, torchvision's or as published, with torchvision's names.

    For three channels and 1,000 classes torchvision's, with batch normalisation and 3x3 windows
    instead of 5x5, has 6,624,904 parameters and 1.498 G multiply-adds at 224 px. `GoogLeNet2014`,
    with biases, 5x5 windows and local response normalisation (AlexNet's, because the paper gives no
    constants), has 6,998,552 and 1.583 G, and 13,378,280 parameters with its auxiliary heads.

    Stages at 224 px, those of layers after the activation, pooling before normalisation: conv1
    [B, 112, 112, 64], pool1 and conv2 [B, 56, 56, 64], conv3 [B, 56, 56, 192], pool2
    [B, 28, 28, 192], inception3a, inception3b [B, 28, 28, 480], pool3 [B, 14, 14, 480],
    inception4a, ... inception4e [B, 14, 14, 832], pool4 [B, 7, 7, 832], inception5a, inception5b
    [B, 7, 7, 1024].

    While training, and only with `stages=True`, a model with auxiliary heads also has the stages
    aux1 (above inception4a) and aux2 (above inception4d): logits [B, num_classes], float32 at
    least, for a task to add their losses (in the paper with weight 0.3 each). `init` always creates
    the heads' parameters.

    Kernels of convolutions are initialised as in He et al. 2015 (normal, by fan-out), those of
    dense layers LeCun normal, biases to zero; the paper gives no initialisation.

    >>> model, x = GoogLeNet(num_classes=10), jnp.zeros((2, 64, 64, 3))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 10)

    Attributes:
        num_classes: number of classes. None means that the data fills it in; 0 means no output
            layer and no auxiliary heads, and the averages of inception5b, [B, 1024], as the result.
        version: torchvision's or the published one of 2014.
        auxiliary: whether there are the two auxiliary heads.
        dropout: probability of dropping an input of the last layer while training; the paper's is
            0.4.
        auxiliary_dropout: the same for the auxiliary heads.
        kernel_init: initialiser of every kernel, by name (`nets.layers.initialisers`). None means
            those stated above.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    num_classes: int | None = None
    version: Version = "torchvision"
    auxiliary: bool = False
    dropout: float = 0.2
    auxiliary_dropout: float = 0.7
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
            ValueError: H or W is below 15 (published: 31, and 79 where the auxiliary heads run, in
                `init` and while training with `stages`), or x is not [B, H, W, C]; `version` is
                unknown; or `num_classes` is None.
        """
        check_choice("GoogLeNet.version", self.version, Version)
        published = self.version == "2014"
        has_heads = self.auxiliary and self.num_classes != 0
        run_heads = has_heads and (self.is_initializing() or (train and stages))
        check_images(self, x, (79 if run_heads else 31) if published else 15)
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        weights = {"kernel_init": initialiser(self.kernel_init), **dtypes}
        conv, norm = conv_and_norm(self.dtype, self.param_dtype, train, self.kernel_init)
        if published:
            unit = functools.partial(
                ConvNormAct, conv=functools.partial(conv, use_bias=True), norm=None
            )
        else:
            unit = functools.partial(
                ConvNormAct, conv=conv, norm=functools.partial(norm, epsilon=1e-3)
            )
        pool = functools.partial(max_pool, window=3, strides=2, ceil=True)

        def normalise(x: jax.Array) -> jax.Array:
            return local_response_norm(x) if published else x

        outputs = {}
        outputs["conv1"] = x = unit(64, (7, 7), strides=2, padding=3, name="conv1")(x)
        outputs["pool1"] = x = pool(x)
        outputs["conv2"] = x = unit(64, name="conv2")(normalise(x))
        outputs["conv3"] = x = unit(192, (3, 3), name="conv3")(x)
        outputs["pool2"] = x = pool(normalise(x))
        for name, features in INCEPTIONS.items():
            if name == "inception4a":
                outputs["pool3"] = x = pool(x)
            if name == "inception5a":
                outputs["pool4"] = x = pool(x, window=3 if published else 2)
            third = (5, 5) if published else (3, 3)
            outputs[name] = x = Inception(features, unit, third, name=name)(x)
            if run_heads and name in AUXILIARY:
                y = average_pool(x, 5, 3) if published else adaptive_average(x, 4)
                head = AuxiliaryHead(
                    self.num_classes, self.auxiliary_dropout, unit, **weights, name=AUXILIARY[name]
                )
                outputs[AUXILIARY[name]] = head(y, train=train)
        x = global_average(x)
        if self.num_classes:
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
            x = logits(self.num_classes, **weights, name="fc")(x)
        return (x, outputs) if stages else x

    @property
    def flattened(self) -> dict[str, tuple[int, int]]:
        """The linear layers that read flattened maps, by name, and the [H, W] of these maps.

        In the published version these sizes hold at 224 px only.
        """
        return {f"{name}/fc1": (4, 4) for name in AUXILIARY.values()}


GoogLeNet2014 = functools.partial(GoogLeNet, version="2014", dropout=0.4)
"""GoogLeNet as published: biases, 5x5 windows, local response normalisation."""


class Inception(nn.Module):
    """Four parallel branches: 1x1; 1x1, 3x3; 1x1, 5x5; pooling, 1x1 (figure 2b).

    >>> conv, norm = conv_and_norm(jnp.float32, jnp.float32, train=False)
    >>> unit = functools.partial(ConvNormAct, conv=conv, norm=norm)
    >>> block, x = Inception((16, 12, 16, 2, 4, 4), unit, (5, 5)), jnp.zeros((1, 8, 8, 3))
    >>> jax.eval_shape(block.init_with_output, jax.random.key(0), x)[0].shape
    (1, 8, 8, 40)

    Attributes:
        features: channels of 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5 and pool projection.
        unit: makes a `ConvNormAct`.
        third: window of the third branch, the paper's (5, 5), torchvision's (3, 3).
    """

    features: tuple[int, int, int, int, int, int]
    unit: Callable[..., nn.Module]
    third: tuple[int, int]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [B, H, W, C] to [B, H, W, sum of features 0, 2, 4 and 5]."""
        one, reduce_two, two, reduce_three, three, four = self.features
        branches = [
            self.unit(one, name="branch1")(x),
            self.unit(two, (3, 3), name="branch2_1")(self.unit(reduce_two, name="branch2_0")(x)),
            self.unit(three, self.third, name="branch3_1")(
                self.unit(reduce_three, name="branch3_0")(x)
            ),
            self.unit(four, name="branch4_1")(max_pool(x, 3, 1, padding=1)),
        ]
        return jnp.concatenate(branches, axis=-1)


class AuxiliaryHead(nn.Module):
    """An auxiliary classifier: 1x1 convolution to 128 channels, 1,024 units, logits.

    >>> conv, norm = conv_and_norm(jnp.float32, jnp.float32, train=False)
    >>> unit = functools.partial(ConvNormAct, conv=conv, norm=norm)
    >>> head, x = AuxiliaryHead(10, 0.7, unit), jnp.zeros((1, 4, 4, 512))
    >>> init = functools.partial(head.init_with_output, train=False)
    >>> jax.eval_shape(init, jax.random.key(0), x)[0].shape
    (1, 10)

    Attributes:
        num_classes: number of outputs.
        dropout: probability of dropping one of the 1,024 units while training.
        unit: makes a `ConvNormAct`.
        kernel_init: initialiser of the dense layers' kernels.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    num_classes: int
    dropout: float
    unit: Callable[..., nn.Module]
    kernel_init: nn.initializers.Initializer = LECUN
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps x [B, 4, 4, C] to logits [B, num_classes], float32 at least."""
        weights = {"kernel_init": self.kernel_init}
        weights |= {"dtype": self.dtype, "param_dtype": self.param_dtype}
        x = self.unit(128, name="conv")(x)
        x = nn.relu(nn.Dense(1024, **weights, name="fc1")(x.reshape(x.shape[0], -1)))
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return logits(self.num_classes, **weights, name="fc2")(x)
