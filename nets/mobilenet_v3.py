"""MobileNet v3: inverted residuals found by search, with hard-swish and squeeze-and-excitation.

Howard et al., Searching for MobileNetV3, ICCV 2019.
"""

import functools
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.checks import check_choice, check_positive
from nets.layers.classification_head import conv_and_norm, logits
from nets.layers.conv import HE
from nets.layers.conv_norm_act import ConvNormAct
from nets.layers.image_checks import check_images
from nets.layers.initialisers import initialiser
from nets.layers.pooling import global_average
from nets.layers.squeeze_excite import SqueezeExcite
from nets.mobilenet import NAMES, InvertedResidual, multiple_of_8
from nets.types import KernelInit


class Bottleneck(NamedTuple):
    """A row of tables 1 and 2: the configuration of an `InvertedResidual`."""

    window: int
    expanded: int
    features: int
    excite: bool
    hard_swish: bool  # or ReLU
    strides: int


LARGE = (
    Bottleneck(3, 16, 16, False, False, 1),
    Bottleneck(3, 64, 24, False, False, 2),
    Bottleneck(3, 72, 24, False, False, 1),
    Bottleneck(5, 72, 40, True, False, 2),
    *(Bottleneck(5, 120, 40, True, False, 1),) * 2,
    Bottleneck(3, 240, 80, False, True, 2),
    Bottleneck(3, 200, 80, False, True, 1),
    *(Bottleneck(3, 184, 80, False, True, 1),) * 2,
    Bottleneck(3, 480, 112, True, True, 1),
    Bottleneck(3, 672, 112, True, True, 1),
    Bottleneck(5, 672, 160, True, True, 2),
    *(Bottleneck(5, 960, 160, True, True, 1),) * 2,
)
"""Table 1."""

SMALL = (
    Bottleneck(3, 16, 16, True, False, 2),
    Bottleneck(3, 72, 24, False, False, 2),
    Bottleneck(3, 88, 24, False, False, 1),
    Bottleneck(5, 96, 40, True, True, 2),
    *(Bottleneck(5, 240, 40, True, True, 1),) * 2,
    Bottleneck(5, 120, 48, True, True, 1),
    Bottleneck(5, 144, 48, True, True, 1),
    Bottleneck(5, 288, 96, True, True, 2),
    *(Bottleneck(5, 576, 96, True, True, 1),) * 2,
)
"""Table 2."""

VARIANTS = {"large": (LARGE, 1280), "small": (SMALL, 1024)}
"""The bottlenecks, and the number of units of the classifier's first layer."""


class MobileNetV3(nn.Module):
    """MobileNet v3, with torchvision's names and padding.

    For three channels and 1,000 classes 5,483,032 parameters and 217 M multiply-adds at 224 px,
    `MobileNetV3Small` 2,542,856 and 56.5 M. A 3x3 convolution, the bottlenecks, a 1x1 convolution
    to 6 times their channels, average, a hidden layer, linear classifier. Stages of the large
    variant: stem [B, H/2, W/2, 16], block1, ... block15 [B, H/32, W/32, 160], last
    [B, H/32, W/32, 960], features [B, 960], hidden [B, 1280].

    Squeeze-and-excitation reduces its channels to a quarter, rounded to multiples of 8, and uses
    ReLU and a hard sigmoid. Batch normalisation has momentum 0.99 and epsilon 1e-3.

    Convolutions are initialised as in He et al. 2015 (truncated normal, by fan-out), the dense
    layers as LeCun normal.

    >>> model, x = MobileNetV3(num_classes=10), jnp.zeros((2, 64, 64, 3))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 10)

    Attributes:
        variant: large (table 1) or small (table 2).
        width: factor of all numbers of channels, which are rounded to multiples of 8.
        dropout: probability of dropping an input of the last layer while training.
        num_classes: number of classes. None means that the data fills it in; 0 means no dense
            layers, and `features` as the result.
        kernel_init: initialiser of every kernel, by name (`nets.layers.initialisers`). None means
            those stated above.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    variant: Literal["large", "small"] = "large"
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
            ValueError: x is not [B, H, W, C]; `variant` is unknown; `width` is not positive; or
                `num_classes` is None.
        """
        check_images(self, x, 1)
        check_positive("MobileNetV3.width", self.width)
        check_choice("MobileNetV3.variant", self.variant, tuple(VARIANTS))
        bottlenecks, hidden = VARIANTS[self.variant]
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        weights = {"kernel_init": initialiser(self.kernel_init), **dtypes}
        conv, norm = conv_and_norm(self.dtype, self.param_dtype, train, self.kernel_init)
        made = {"conv": conv, "norm": functools.partial(norm, momentum=0.99, epsilon=1e-3)}
        squeeze = {"kernel_init": initialiser(self.kernel_init, HE), **dtypes}
        active = functools.partial(ConvNormAct, names=NAMES, activation=nn.hard_swish, **made)
        outputs = {}
        thin = multiple_of_8(16 * self.width)
        outputs["stem"] = x = active(thin, (3, 3), 2, 1, name="features_0")(x)
        for i, row in enumerate(bottlenecks, 1):
            expanded = multiple_of_8(row.expanded * self.width)
            excite = functools.partial(
                SqueezeExcite, multiple_of_8(expanded // 4), gate=nn.hard_sigmoid, **squeeze
            )
            outputs[f"block{i}"] = x = InvertedResidual(
                features=multiple_of_8(row.features * self.width),
                expanded=expanded,
                strides=row.strides,
                activation=nn.hard_swish if row.hard_swish else nn.relu,
                sequence="block",
                **made,
                window=row.window,
                excite=excite if row.excite else None,
                name=f"features_{i}",
            )(x)
        last = active(6 * x.shape[-1], name=f"features_{len(bottlenecks) + 1}")
        outputs["last"] = x = last(x)
        outputs["features"] = x = global_average(x)
        if self.num_classes:
            dense = nn.Dense(multiple_of_8(hidden * self.width), **weights, name="classifier_0")
            outputs["hidden"] = x = nn.hard_swish(dense(x))
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
            x = logits(self.num_classes, **weights, name="classifier_3")(x)
        return (x, outputs) if stages else x


MobileNetV3Large = MobileNetV3
"""The large variant, of table 1; the default."""

MobileNetV3Small = functools.partial(MobileNetV3, variant="small")
"""The small variant, of table 2."""
