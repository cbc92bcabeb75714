"""Scene labelling by one convolutional network at several scales of the image.

Farabet, Couprie, Najman and LeCun, Learning Hierarchical Features for Scene Labeling, IEEE
Transactions on Pattern Analysis and Machine Intelligence 2013; first at ICML 2012.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.checks import check_at_least
from nets.layers.conv import Conv
from nets.layers.image_checks import check_images
from nets.layers.image_pyramid import laplacian_pyramid, local_contrast_norm, rgb_to_yuv
from nets.layers.pooling import max_pool
from nets.layers.upsampling import resize_bilinear


class SceneLabelling(nn.Module):
    """One network, with shared weights, over each level of a Laplacian pyramid of the image.

    The network is three 7x7 convolutions, tanh and 2x2 max pooling between them, so its maps have a
    quarter of the level's height and width. Those of all scales are upsampled to the size of the
    largest and concatenated; two 1x1 convolutions with tanh between them classify each position,
    and the logits are upsampled to the image. Images are converted to Y, U and V, and each channel
    of a level has mean 0 and deviation 1 in each neighbourhood of 15 x 15 pixels (section 3.1).

    In the first layer 10 filters see Y, and 6 see U and V (section 5). Later each filter sees all
    maps; in the paper it sees 8, then 32 of them, drawn at random. For 3 scales and 8 classes there
    are 1,650,062 parameters. All are trained at once, not the filters before the classifier.

    Kernels are initialised as LeCun normal, biases to zero.

    >>> model, x = SceneLabelling(num_classes=5), jnp.zeros((2, 30, 41, 3))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 30, 41, 5)

    Attributes:
        scales: number of levels of the pyramid; 1 is the image alone.
        num_classes: number of classes. None means that the data fills it in.
        widths: channels of each convolution.
        window: height and width of the convolutions.
        colour: how many filters of the first layer see U and V; the others see Y. None means that
            all see all channels of the image, which is not converted.
        neighbourhood: height and width of the neighbourhoods of normalisation. None means none.
        hidden: channels of the hidden layer of the classifier.
        dropout: probability of dropping a value of the hidden layer while training.
        dtype: computation dtype; logits are float32 at least.
        param_dtype: parameter dtype.
    """

    scales: int = 3
    num_classes: int | None = None
    widths: tuple[int, ...] = (16, 64, 256)
    window: int = 7
    colour: int | None = 6
    neighbourhood: int | None = 15
    hidden: int = 1024
    dropout: float = 0.0
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps x [B, H, W, C] to logits [B, H, W, num_classes], float32 at least.

        Needs the key `dropout` while training if `dropout` is above 0.

        Raises:
            ValueError: x is not [B, H, W, C], or with `colour` not [B, H, W, 3]; `num_classes` is
                None or 0; `scales` is below 1; `widths` is empty; or `colour` is not below
                widths[0].
        """
        self._check(x)
        size = x.shape[1:3]
        x = x if self.colour is None else rgb_to_yuv(x)
        levels = laplacian_pyramid(x, self.scales)
        if self.neighbourhood:
            levels = [local_contrast_norm(level, self.neighbourhood) for level in levels]
        options = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        network = _Features(self.widths, self.window, self.colour, **options, name="features")
        maps = [network(level) for level in levels]
        maps = [resize_bilinear(y, maps[0].shape[1:3]) for y in maps]
        x = jnp.concatenate(maps, -1)
        x = nn.tanh(Conv(self.hidden, (1, 1), **options, name="hidden")(x))
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        options["dtype"] = jnp.promote_types(self.dtype, jnp.float32)
        return resize_bilinear(Conv(self.num_classes, (1, 1), **options, name="logits")(x), size)

    def _check(self, x: jax.Array) -> None:
        check_images(self, x, 1)
        check_at_least("SceneLabelling.num_classes", self.num_classes, 1)
        check_at_least("SceneLabelling.scales", self.scales, 1)
        check_at_least("len(SceneLabelling.widths)", len(self.widths), 1)
        if self.colour is None:
            return
        if x.shape[-1] != 3:
            raise ValueError(
                f"SceneLabelling.colour must be None for images of {x.shape[-1]} channels, "
                f"got {self.colour}"
            )
        if not 0 < self.colour < self.widths[0]:
            raise ValueError(
                f"SceneLabelling.colour must be between 0 and widths[0]={self.widths[0]} "
                f"(exclusive), got {self.colour}"
            )


class _Features(nn.Module):
    """The convolutions, with the fields of `SceneLabelling`."""

    widths: tuple[int, ...]
    window: int
    colour: int | None
    dtype: DTypeLike
    param_dtype: DTypeLike

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [B, H, W, C] to [B, H', W', widths[-1]], half the size for each pooling."""
        conv = functools.partial(
            Conv, window=(self.window,) * 2, dtype=self.dtype, param_dtype=self.param_dtype
        )
        for i, width in enumerate(self.widths, 1):
            x = max_pool(nn.tanh(x), 2, ceil=True) if i > 1 else x
            if i == 1 and self.colour is not None:
                y = conv(width - self.colour, name="conv1_y")(x[..., :1])
                x = jnp.concatenate([y, conv(self.colour, name="conv1_uv")(x[..., 1:])], -1)
            else:
                x = conv(width, name=f"conv{i}")(x)
        return x
