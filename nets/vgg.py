"""VGG: 3x3 convolutions only, 11 to 19 layers deep.

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
from nets.layers.norm import BatchNorm
from nets.layers.pooling import max_pool
from nets.layers.pooling_adaptive import adaptive_average

WIDTHS = (64, 128, 256, 512, 512)
"""Channels of the five stages, between which a 2x2 pooling halves the image."""

DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
"""Convolutions in each stage, by layers with weights: the paper's A, B, D and E."""


class VGG(nn.Module):
    """VGG, as torchvision has it and names it.

    For three channels and 1,000 classes 132,863,336, 133,047,848, 138,357,544 and 143,667,240
    parameters, deep 11, 13, 16 and 19; multiply-adds of the last two at 224 px 15.470 G and
    19.632 G. Stages are the paper's, after the activation: of 16 layers at 224 px conv1_1, conv1_2
    [B, 224, 224, 64], pool1 [B, 112, 112, 64], conv2_1, ... conv5_3 [B, 14, 14, 512], pool5
    [B, 7, 7, 512], fc6 and fc7 [B, hidden]. Images of other sizes are averaged to 7x7 places
    behind pool5.

    Kernels start normal, those of convolutions as He et al. 2015 (by fan out), the dense ones with
    a deviation of 0.01, and biases at zero, as torchvision's; the paper starts deep nets from the
    weights of shallow ones.

    Attributes:
        depth: number of layers with weights, 11, 13, 16 or 19.
        num_classes: number of outputs. None: to be filled in from the data. 0: there are neither
            fc6, fc7 nor outputs, the result is the 7x7 maps in a row, [B, 25088].
        batch_norm: whether each convolution, which keeps its bias, is batch-normalised.
        hidden: number of units of fc6 and fc7.
        dropout: probability of dropping a unit of fc6 and fc7 while training.
        dtype: what it computes in.
        param_dtype: what it stores.
    """

    depth: int = 16
    num_classes: int | None = None
    batch_norm: bool = False
    hidden: int = 4096
    dropout: float = 0.5
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, stages: bool = False
    ) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
        """Maps x [B, H, W, C] to logits [B, num_classes], float32 at least.

        Needs the key `dropout` while training, if there is any.

        Raises:
            ValueError: H or W is below 32, or x has other axes; there is no such depth; or
                `num_classes` is None.
        """
        check_images(self, x, 32)
        if self.depth not in DEPTHS:
            raise ValueError(f"VGG.depth is one of {sorted(DEPTHS)}, not {self.depth}")
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        conv = functools.partial(Conv, kernel_init=HE, **dtypes)
        norm = functools.partial(BatchNorm, use_running_average=not train, **dtypes)
        block = functools.partial(
            conv_norm_act, window=(3, 3), conv=conv, norm=norm if self.batch_norm else None
        )
        start = {"kernel_init": nn.initializers.normal(0.01), **dtypes}
        dense = functools.partial(nn.Dense, **start)
        drop = nn.Dropout(self.dropout, deterministic=not train)
        seen, place = {}, 0  # place: where torchvision's list of layers is
        for stage, (width, count) in enumerate(zip(WIDTHS, DEPTHS[self.depth], strict=True), 1):
            for layer in range(1, count + 1):
                names = (f"features_{place}", f"features_{place + 1}")
                seen[f"conv{stage}_{layer}"] = x = block(x, width, names=names)
                place += 3 if self.batch_norm else 2
            seen[f"pool{stage}"] = x = max_pool(x, 2)
            place += 1
        x = adaptive_average(x, 7).reshape(x.shape[0], -1)
        if self.num_classes:
            seen["fc6"] = x = nn.relu(dense(self.hidden, name="classifier_0")(x))
            seen["fc7"] = x = nn.relu(dense(self.hidden, name="classifier_3")(drop(x)))
            x = logits(self.num_classes, **start, name="classifier_6")(drop(x))
        return (x, seen) if stages else x

    @property
    def flattened(self) -> dict[str, tuple[int, int]]:
        """The linear layers that read flattened maps, by name, and [H, W] of these."""
        return {"classifier_0": (7, 7)}
