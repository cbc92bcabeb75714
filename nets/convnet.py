"""A plain convolutional network: stages of convolution, normalisation, ReLU and pooling."""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.classification_head import conv_and_norm, logits
from nets.layers.conv_norm_act import conv_norm_act
from nets.layers.image_checks import check_images
from nets.layers.initialisers import initialiser
from nets.layers.pooling import max_pool
from nets.types import KernelInit


class ConvNet(nn.Module):
    """Stages of one convolution, batch normalisation, ReLU and a 2x2 max pooling each.

    After the last stage, dropout and one linear layer over its flattened maps. Stages: conv1 [B, H,
    W, widths[0]], pool1 [B, H/2, W/2, widths[0]], conv2, ...; features [B, positions * widths[-1]].

    Convolutions are initialised as in He et al. 2015 (truncated normal, by fan-out), the linear
    layer as LeCun normal.

    >>> model, x = ConvNet(num_classes=10), jnp.zeros((2, 28, 28, 1))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 10)

    Attributes:
        widths: channels of each stage.
        windows: height and width of each stage's convolution.
        padded: whether the first convolution pads the image, so that conv1 has its size; without,
            conv1 is windows[0] - 1 smaller.
        dropout: probability of dropping a feature while training.
        num_classes: number of classes. None means that the data fills it in; 0 means no linear
            layer, and `features` as the result.
        kernel_init: initialiser of every kernel, by name (`nets.layers.initialisers`). None means
            those stated above.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    widths: tuple[int, ...] = (32, 64, 128)
    windows: tuple[int, ...] = (5, 3, 3)
    padded: bool = True
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
            ValueError: H or W is below 2^stages (plus windows[0] - 1 without padding), or x is not
                [B, H, W, C]; the numbers of windows and widths differ; or `num_classes` is None.
        """
        if len(self.windows) != len(self.widths):
            raise ValueError(
                f"ConvNet.windows must have one entry for each of widths={self.widths}, "
                f"got {self.windows}"
            )
        border = 0 if self.padded else self.windows[0] - 1
        check_images(self, x, 2 ** len(self.widths) + border)
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        weights = {"kernel_init": initialiser(self.kernel_init), **dtypes}
        conv, norm = conv_and_norm(self.dtype, self.param_dtype, train, self.kernel_init)
        block = functools.partial(conv_norm_act, conv=conv, norm=norm)
        outputs = {}
        for i, (width, window) in enumerate(zip(self.widths, self.windows, strict=True), 1):
            padding = "SAME" if i > 1 or self.padded else "VALID"
            x = block(x, width, (window, window), padding=padding, names=(f"conv{i}", f"bn{i}"))
            outputs[f"conv{i}"] = x
            outputs[f"pool{i}"] = x = max_pool(x, 2)
        outputs["features"] = x = x.reshape(x.shape[0], -1)
        if self.num_classes:
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
            x = logits(self.num_classes, **weights, name="fc")(x)
        return (x, outputs) if stages else x
