"""Convolutions in a stack without pooling, to compare stacks of one field; of `stacked_3x3`."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.errors import UserError
from nets.layers.classification_head import classification_head, conv_and_norm
from nets.layers.conv_norm_act import conv_norm_act
from nets.layers.image_checks import check_images
from nets.types import KernelInit


class StackedConvolutions(nn.Module):
    """Convolutions of one stride and one width, each with a batch normalisation and a ReLU.

    A first one of 3x3, "stem", makes `width` channels of the image. The others have `windows` and
    sum(window^2) width^2 weights, and each of their outputs sees 1 + sum(window - 1) positions
    along an axis of the stem's: three of 3x3 and one of 7x7 both see seven (Simonyan and Zisserman
    2015). The head is the average over all positions and a linear layer.

    Attributes:
        windows: height and width of each convolution after the stem, odd.
        width: number of channels.
        num_classes: number of classes. None means that the data fills it in; 0 means no linear
            layer, and the averages as the result.
        kernel_init: initialiser of every kernel, by name (`nets.layers.initialisers`). None means
            He et al. 2015 for convolutions, by fan-out, and LeCun normal for the linear layer.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    windows: tuple[int, ...] = (3, 3, 3)
    width: int = 32
    num_classes: int | None = None
    kernel_init: KernelInit | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps x [B, H, W, C] to logits [B, num_classes], float32 at least.

        Raises:
            UserError: `windows` are not odd numbers from 1.
            ValueError: x is not [B, H, W, C], or `num_classes` is None.
        """
        if not all(window > 0 and window % 2 for window in self.windows):
            raise UserError(f"must be odd and at least 1, got {self.windows}.", "windows")
        check_images(self, x, 1)
        conv, norm = conv_and_norm(self.dtype, self.param_dtype, train, self.kernel_init)
        for i, window in enumerate((3, *self.windows)):
            names = (f"conv{i}", f"bn{i}") if i else ("stem", "bn0")
            x = conv_norm_act(x, self.width, (window,) * 2, conv=conv, norm=norm, names=names)
        return classification_head(self, x, {}, stages=False)
