"""U-Net: a contracting and an expanding path, joined at every size.

Ronneberger, Fischer and Brox, U-Net: Convolutional Networks for Biomedical Image Segmentation,
MICCAI 2015.
"""

import functools
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.checks import check_at_least, check_choice
from nets.layers.classification_head import conv_and_norm
from nets.layers.conv import HE, Conv
from nets.layers.conv_norm_act import conv_norm_act
from nets.layers.conv_transpose import ConvTranspose
from nets.layers.image_checks import check_images
from nets.layers.pooling import max_pool
from nets.layers.upsampling import crop, resize_bilinear

Upsampling = Literal["transposed", "bilinear"]


class UNet(nn.Module):
    """U-Net with padded convolutions, so that the logits have the size of the image.

    Each level is two 3x3 convolutions with normalisation and ReLU; 2x2 max pooling leads down,
    upsampling by 2 to half of the channels leads up, where the level's maps of the way down are
    joined. A 1x1 convolution gives the logits. Pooling rounds sizes up, and what upsampling adds is
    cut off, so an image may have any size. The published network has no padding and no
    normalisation: with `batch_norm=False`, one channel and two classes it has the same 31,030,658
    parameters.

    Convolutions are initialised as in He et al. 2015 (truncated normal, by fan-out), the last as
    LeCun normal.

    >>> model, x = UNet((8, 16, 32), num_classes=5), jnp.zeros((2, 30, 41, 3))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 30, 41, 5)

    Attributes:
        widths: channels of each level, the largest maps first.
        num_classes: number of classes. None means that the data fills it in.
        batch_norm: whether batch normalisation follows each 3x3 convolution, which then has no
            bias.
        upsampling: a 2x2 transposed convolution of stride 2; or a 1x1 convolution, then bilinear
            interpolation.
        dropout: probability of dropping a value of the two lowest levels of the way down while
            training; 0.5 as published.
        dtype: computation dtype; logits are float32 at least.
        param_dtype: parameter dtype.
    """

    widths: tuple[int, ...] = (64, 128, 256, 512, 1024)
    num_classes: int | None = None
    batch_norm: bool = True
    upsampling: Upsampling = "transposed"
    dropout: float = 0.0
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps x [B, H, W, C] to logits [B, H, W, num_classes], float32 at least.

        Needs the key `dropout` while training if `dropout` is above 0.

        Raises:
            ValueError: x is not [B, H, W, C]; `num_classes` is None or 0; `widths` is empty; or
                `upsampling` is unknown.
        """
        check_images(self, x, 1)
        check_at_least("UNet.num_classes", self.num_classes, 1)
        check_at_least("len(UNet.widths)", len(self.widths), 1)
        check_choice("UNet.upsampling", self.upsampling, Upsampling)
        conv, norm = conv_and_norm(self.dtype, self.param_dtype, train)
        if not self.batch_norm:
            conv, norm = functools.partial(conv, use_bias=True), None

        def level(x: jax.Array, width: int, name: str) -> jax.Array:
            for j in (1, 2):
                names = (f"{name}_conv{j}", f"{name}_bn{j}")
                x = conv_norm_act(x, width, (3, 3), conv=conv, norm=norm, names=names)
            return x

        skips = []
        for i, width in enumerate(self.widths):
            x = level(max_pool(x, 2, ceil=True) if i else x, width, f"down{i}")
            if i >= len(self.widths) - 2:
                x = nn.Dropout(self.dropout, deterministic=not train)(x)
            skips.append(x)
        for i in reversed(range(len(self.widths) - 1)):
            x = self._upsampled(x, self.widths[i], f"upsample{i}")
            x = crop(x, skips[i].shape[1:3], 0)
            x = level(jnp.concatenate([skips[i], x], -1), self.widths[i], f"up{i}")
        options = {"dtype": jnp.promote_types(self.dtype, jnp.float32)}
        options |= {"param_dtype": self.param_dtype, "name": "logits"}
        return Conv(self.num_classes, (1, 1), **options)(x)

    def _upsampled(self, x: jax.Array, width: int, name: str) -> jax.Array:
        """x [B, H, W, C] as [B, 2H, 2W, width]."""
        made = {"kernel_init": HE, "dtype": self.dtype, "param_dtype": self.param_dtype}
        if self.upsampling == "transposed":
            return ConvTranspose(width, (2, 2), 2, **made, name=name)(x)
        x = Conv(width, (1, 1), **made, name=name)(x)
        return resize_bilinear(x, (2 * x.shape[1], 2 * x.shape[2]))
