"""VGG: 11 to 19 layers, all convolutions 3x3.

Simonyan and Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, ICLR
2015.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.classification_head import logits
from nets.layers.conv import HE, Conv
from nets.layers.conv_norm_act import conv_norm_act
from nets.layers.image_checks import check_images
from nets.layers.initialisers import initialiser
from nets.layers.norm import BatchNorm
from nets.layers.pooling import max_pool
from nets.layers.pooling_adaptive import adaptive_average
from nets.types import KernelInit

WIDTHS = (64, 128, 256, 512, 512)
"""Channels of the five stages; each ends in 2x2 max pooling."""

DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
"""Number of convolutions in each stage, by depth: the paper's A, B, D and E."""


class VGG(nn.Module):
    """VGG, with torchvision's names.

    For three channels and 1,000 classes 132,863,336, 133,047,848, 138,357,544 and 143,667,240
    parameters for depth 11, 13, 16 and 19; multiply-adds of the last two at 224 px 15.470 G and
    19.632 G. Stages are the paper's, after the activation: of 16 layers at 224 px conv1_1, conv1_2
    [B, 224, 224, 64], pool1 [B, 112, 112, 64], conv2_1, ... conv5_3 [B, 14, 14, 512], pool5
    [B, 7, 7, 512], fc6 and fc7 [B, hidden]. With images of other sizes, pool5 is averaged to 7x7
    positions.

    As in torchvision, kernels of convolutions are initialised as in He et al. 2015 (normal, by
    fan-out), those of dense layers normal with standard deviation 0.01, biases to zero; the paper
    initialises deep networks with the weights of shallow ones.

    >>> model, x = VGG(depth=11, num_classes=10), jnp.zeros((2, 32, 32, 3))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 10)

    Attributes:
        depth: number of layers with weights, 11, 13, 16 or 19.
        num_classes: number of classes. None means that the data fills it in; 0 means no fc6, fc7
            and output layer, and the flattened 7x7 maps [B, 25088] as the result.
        batch_norm: whether batch normalisation follows each convolution, which keeps its bias.
        hidden: number of units of fc6 and fc7.
        dropout: probability of dropping a unit of fc6 and fc7 while training.
        ceil: whether pooling rounds sizes up instead of down, as Caffe, for which the published
            weights were made; it matters for sizes that are no multiples of 32.
        kernel_init: initialiser of every kernel, by name (`nets.layers.initialisers`). None means
            those stated above.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    depth: int = 16
    num_classes: int | None = None
    batch_norm: bool = False
    hidden: int = 4096
    dropout: float = 0.5
    ceil: bool = False
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
            ValueError: H or W is below 32, or x is not [B, H, W, C]; `depth` is not one of these;
                or `num_classes` is None.
        """
        check_images(self, x, 32)
        if self.depth not in DEPTHS:
            valid = ", ".join(map(str, DEPTHS))
            raise ValueError(f"VGG.depth must be one of {valid}, got {self.depth}")
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        conv = functools.partial(Conv, kernel_init=initialiser(self.kernel_init, HE), **dtypes)
        norm = functools.partial(BatchNorm, use_running_average=not train, **dtypes)
        block = functools.partial(
            conv_norm_act, window=(3, 3), conv=conv, norm=norm if self.batch_norm else None
        )
        start = {"kernel_init": initialiser(self.kernel_init or "small"), **dtypes}
        dense = functools.partial(nn.Dense, **start)
        drop = nn.Dropout(self.dropout, deterministic=not train)
        outputs, index = {}, 0  # of a layer in torchvision's list
        for stage, (width, count) in enumerate(zip(WIDTHS, DEPTHS[self.depth], strict=True), 1):
            for layer in range(1, count + 1):
                names = (f"features_{index}", f"features_{index + 1}")
                outputs[f"conv{stage}_{layer}"] = x = block(x, width, names=names)
                index += 3 if self.batch_norm else 2
            outputs[f"pool{stage}"] = x = max_pool(x, 2, ceil=self.ceil)
            index += 1
        x = adaptive_average(x, 7).reshape(x.shape[0], -1)
        if self.num_classes:
            outputs["fc6"] = x = nn.relu(dense(self.hidden, name="classifier_0")(x))
            outputs["fc7"] = x = nn.relu(dense(self.hidden, name="classifier_3")(drop(x)))
            x = logits(self.num_classes, **start, name="classifier_6")(drop(x))
        return (x, outputs) if stages else x

    @property
    def flattened(self) -> dict[str, tuple[int, int]]:
        """The linear layers that read flattened maps, by name, and the [H, W] of these maps."""
        return {"classifier_0": (7, 7)}
