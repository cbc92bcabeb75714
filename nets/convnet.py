"""A plain convolutional network: stages of convolution, normalisation, ReLU and pooling."""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.classification_head import conv_and_norm, logits
from nets.layers.conv_norm_act import conv_norm_act
from nets.layers.image_checks import check_images
from nets.layers.pooling import max_pool


class ConvNet(nn.Module):
    """Stages of one convolution, batch normalisation, ReLU and a 2x2 max pooling each.

    Behind the last stage come dropout and one linear layer over all of its places. Stages, by
    number: conv1 [B, H, W, widths[0]], pool1 [B, H/2, W/2, widths[0]], conv2, ...; features
    [B, places widths[-1]].

    Convolutions start as He et al. 2015 (normal, by fan-out, truncated), the linear layer LeCun
    normal.

    Attributes:
        widths: channels of each stage.
        windows: side of each stage's window.
        padded: whether the first convolution pads the image, so that conv1 is as large; else it is
            windows[0] - 1 smaller.
        dropout: probability of dropping a feature while training.
        num_classes: number of outputs. None: to be filled in from the data. 0: no linear layer,
            the result is `features`.
        dtype: what it computes in.
        param_dtype: what it stores.
    """

    widths: tuple[int, ...] = (32, 64, 128)
    windows: tuple[int, ...] = (5, 3, 3)
    padded: bool = True
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
            ValueError: H or W is below 2^stages, as many pixels more as the first convolution takes
                away, or x has other axes; there are not as many windows as widths; or `num_classes`
                is None.
        """
        if len(self.windows) != len(self.widths):
            raise ValueError(
                f"ConvNet.windows={self.windows}: one for each of widths={self.widths} is valid"
            )
        border = 0 if self.padded else self.windows[0] - 1
        check_images(self, x, 2 ** len(self.widths) + border)
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        conv, norm = conv_and_norm(self.dtype, self.param_dtype, train)
        block = functools.partial(conv_norm_act, conv=conv, norm=norm)
        seen = {}
        for i, (width, window) in enumerate(zip(self.widths, self.windows, strict=True), 1):
            padding = "SAME" if i > 1 or self.padded else "VALID"
            x = block(x, width, (window, window), padding=padding, names=(f"conv{i}", f"bn{i}"))
            seen[f"conv{i}"] = x
            seen[f"pool{i}"] = x = max_pool(x, 2)
        seen["features"] = x = x.reshape(x.shape[0], -1)
        if self.num_classes:
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
            x = logits(self.num_classes, **dtypes, name="fc")(x)
        return (x, seen) if stages else x
