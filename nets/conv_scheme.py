"""The usual pattern of convolutional networks, as one module that its fields configure.

Karpathy, CS231n: Convolutional Neural Networks for Visual Recognition, lecture notes, section
"Layer Patterns".
"""

from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.checks import check_at_least, check_choice
from nets.layers.classification_head import logits
from nets.layers.conv import Conv
from nets.layers.image_checks import check_images
from nets.layers.initialisers import initialiser
from nets.layers.pooling import average_pool, max_pool
from nets.types import Activation, KernelInit

Pooling = Literal["max", "average", "none"]


class ConvScheme(nn.Module):
    """INPUT -> [[CONV -> RELU] * convolutions -> POOL] * N -> [FC -> RELU] * M -> FC.

    N is the number of `widths`, M that of `hidden`; without either it is a linear classifier.
    Stages: conv1_1 [B, H, W, widths[0]] after the activation, conv1_2, ..., pool1
    [B, H', W', widths[0]], conv2_1, ...; features [B, positions * widths[-1]]; fc1 [B, hidden[0]],
    ...

    With widths (64, 128, 256, 512, 512), convolutions (2, 2, 3, 3, 3) and hidden (4096, 4096) it is
    VGG-16; with widths (6, 16), unpadded windows of 5 and hidden (120, 84) a LeNet-5 of 61,706
    parameters.

    Kernels are initialised He normal, that of the output LeCun normal, biases to zero.

    >>> model, x = ConvScheme(num_classes=10), jnp.zeros((2, 28, 28, 1))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 10)

    Attributes:
        widths: channels of each of the N stages.
        convolutions: convolutions of each stage; one number for all stages, or one each.
        windows: height and width of the convolutions; one number for all stages, or one each.
        strides: distance between neighbouring windows of the convolutions; one number for all
            stages, or one each.
        padded: whether convolutions pad their input, so that only strides make it smaller; without,
            so does the window, by itself - 1.
        pooling: what ends each stage, max or average pooling, or none.
        pool_window: height and width of the window of a pooling.
        pool_strides: distance between neighbouring windows. None means the window's size.
        hidden: number of units of each of the M fully connected hidden layers.
        activation: nonlinearity; the pattern's is ReLU.
        dropout: probability of dropping an input of a fully connected layer while training.
        num_classes: number of classes. None means that the data fills it in; 0 means no output
            layer, and the last hidden layer as the result.
        kernel_init: initialiser of every kernel, by name (`nets.layers.initialisers`). None means
            those stated above.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    widths: tuple[int, ...] = (16, 32)
    convolutions: tuple[int, ...] = (1,)
    windows: tuple[int, ...] = (3,)
    strides: tuple[int, ...] = (1,)
    padded: bool = True
    pooling: Pooling = "max"
    pool_window: int = 2
    pool_strides: int | None = None
    hidden: tuple[int, ...] = (64,)
    activation: Activation = nn.relu
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
            ValueError: H or W is too small for the stages, or x is not [B, H, W, C]; a field is out
                of its range, or has neither one entry nor one for each stage; or `num_classes` is
                None.
        """
        check_choice("ConvScheme.pooling", self.pooling, Pooling)
        repeats = self._each("convolutions", self.convolutions)
        windows = self._each("windows", self.windows)
        strides = self._each("strides", self.strides)
        check_at_least("ConvScheme.widths", min(self.widths, default=1), 1)
        check_at_least("ConvScheme.hidden", min(self.hidden, default=1), 1)
        check_images(self, x, self._minimum(repeats, windows, strides))
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        options = {"kernel_init": initialiser(self.kernel_init or "he_normal"), **dtypes}
        padding = "SAME" if self.padded else "VALID"
        drop = nn.Dropout(self.dropout, deterministic=not train)
        outputs = {}
        for i, (width, times, window, stride) in enumerate(
            zip(self.widths, repeats, windows, strides, strict=True), 1
        ):
            for j in range(1, times + 1):
                where = {"strides": stride, "padding": padding, "name": f"conv{i}_{j}"}
                conv = Conv(width, (window, window), **where, **options)
                outputs[f"conv{i}_{j}"] = x = self.activation(conv(x))
            if self.pooling != "none":
                pool = max_pool if self.pooling == "max" else average_pool
                outputs[f"pool{i}"] = x = pool(x, self.pool_window, self.pool_strides)
        outputs["features"] = x = x.reshape(x.shape[0], -1)
        for i, units in enumerate(self.hidden, 1):
            x = self.activation(nn.Dense(units, **options, name=f"fc{i}")(drop(x)))
            outputs[f"fc{i}"] = x
        if self.num_classes:
            options["kernel_init"] = initialiser(self.kernel_init)
            x = logits(self.num_classes, **options, name="output")(drop(x))
        return (x, outputs) if stages else x

    @nn.nowrap
    def _each(self, name: str, values: tuple[int, ...]) -> tuple[int, ...]:
        """One value for each stage."""
        stages = len(self.widths)
        if not values or len(values) not in (1, stages):
            raise ValueError(
                f"ConvScheme.{name} must have one entry, or one for each of widths={self.widths}, "
                f"got {values}"
            )
        check_at_least(f"ConvScheme.{name}", min(values), 1)
        return values if len(values) == stages else values * stages

    @nn.nowrap
    def _minimum(
        self, repeats: tuple[int, ...], windows: tuple[int, ...], strides: tuple[int, ...]
    ) -> int:
        """The minimum size of an image, from the last stage, of one position, to the first."""
        check_at_least("ConvScheme.pool_window", self.pool_window, 1)
        pool_strides = self.pool_window if self.pool_strides is None else self.pool_strides
        check_at_least("ConvScheme.pool_strides", pool_strides, 1)
        size = 1
        for times, window, stride in reversed(list(zip(repeats, windows, strides, strict=True))):
            if self.pooling != "none":
                size = (size - 1) * pool_strides + self.pool_window
            for _ in range(times):
                size = (size - 1) * stride + (1 if self.padded else window)
        return size
