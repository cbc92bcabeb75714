"""Detection by a sliding window: a classifier looks at every window of an image, at several sizes.

The detector before region proposals (Vaillant, Monrocq and LeCun 1994), made dense by convolution
as in OverFeat (Sermanet et al., ICLR 2014, section 3.5).
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.boxes import match, sample
from nets.layers.checks import check_at_least, check_length
from nets.layers.conv import HE, Conv
from nets.layers.detections import Detections, Objects, check_selection, select
from nets.layers.image_checks import check_images
from nets.layers.pooling import max_pool

WINDOW = 32
"""Sides in pixels of what the classifier sees."""

BOX = 24
"""Sides of the middle of it, which is the box that it classifies; the rest is context."""

STRIDE = 4
"""Pixels from one window to the next: those of the two poolings."""


class SlidingWindow(nn.Module):
    """A small convolutional network that classifies each window of an image, and non-maximum
    suppression.

        5x5 convolution - 2x2 max pooling - 5x5 convolution - 2x2 max pooling -
        fully connected - fully connected (all with rectifiers but the last; nothing is padded)

    Over one window of 32x32 pixels the fully connected layers read a map of 5x5, then of 1x1. They
    are written as the 5x5 and the 1x1 convolutions that they equal, and so over a larger image the
    same network gives the logits of all windows, 4 pixels apart, at the cost of what they share
    only once. For each size of box the image is resampled so that the box is 24x24 pixels.

    Convolutions are initialised as in He et al. 2015.

    >>> model, x = SlidingWindow(num_classes=10), jnp.zeros((2, 64, 64, 1))
    >>> init = functools.partial(model.init_with_output, train=False)
    >>> detections = jax.eval_shape(init, jax.random.key(0), x)[0]
    >>> detections.boxes.shape, detections.classes.shape
    ((2, 50, 4), (2, 50))

    Attributes:
        num_classes: number of classes, the background not among them. None means that the data
            fills it in.
        sizes: height and width in pixels of the boxes that are searched for.
        widths: channels of the convolutions and units of the fully connected layer.
        windows_per_image: windows of an image in the loss, at most a quarter of them objects.
        high: intersection over union with an object from which on a window is of its class.
        low: that below which it is background.
        min_score: probability below which nothing is detected.
        nms_iou: intersection over union above which only the higher score of a class is kept.
        limit: maximum of detections in an image.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    num_classes: int | None = None
    sizes: tuple[tuple[int, int], ...] = (
        (14, 10),
        (20, 14),
        (28, 20),
        (38, 27),
        (24, 9),
        (36, 13),
    )
    widths: tuple[int, int, int] = (16, 32, 128)
    windows_per_image: int = 64
    high: float = 0.6
    low: float = 0.4
    min_score: float = 0.05
    nms_iou: float = 0.3
    limit: int = 50
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        check_at_least("SlidingWindow.num_classes", self.num_classes, 1)
        check_at_least("len(SlidingWindow.sizes)", len(self.sizes), 1)
        for size in self.sizes:
            check_length("SlidingWindow.sizes", size, 2)
            check_at_least("SlidingWindow.sizes", min(size), 1)
        conv = functools.partial(
            Conv,
            padding="VALID",
            kernel_init=HE,
            dtype=self.dtype,
            param_dtype=self.param_dtype,
        )
        check_length("SlidingWindow.widths", self.widths, 3)
        check_at_least("SlidingWindow.widths", min(self.widths), 1)
        check_at_least("SlidingWindow.windows_per_image", self.windows_per_image, 1)
        check_selection("SlidingWindow", self.min_score, self.nms_iou, self.limit)
        first, second, hidden = self.widths
        self.conv1, self.conv2 = conv(first, (5, 5)), conv(second, (5, 5))
        self.fc1, self.output = conv(hidden, (5, 5)), conv(self.num_classes + 1, (1, 1))

    def __call__(self, x: jax.Array, *, train: bool) -> Detections:
        """The detections in images x [B, H, W, C]; uses all parameters.

        Raises:
            ValueError: as in `detect`.
        """
        return self.detect(x)

    def classify(self, x: jax.Array) -> jax.Array:
        """Logits [B, (H - 32) / 4 + 1, (W - 32) / 4 + 1, num_classes + 1] of all windows of images
        x [B, H, W, C], float32; class 0 is the background."""
        for conv in (self.conv1, self.conv2):
            x = max_pool(nn.relu(conv(x)), 2)
        return self.output(nn.relu(self.fc1(x))).astype(jnp.float32)

    def detect(self, x: jax.Array) -> Detections:
        """The detections in images x [B, H, W, C], at most `limit` in each.

        Raises:
            ValueError: x is not [B, H, W, C] as large as the largest of `sizes`, one of which is
                below 1; `num_classes` is None or 0; `widths` are not three; or another field is
                out of its range.
        """
        check_images(self, x, max(max(size) for size in self.sizes))
        boxes, scores = [], []
        for size in self.sizes:
            rows, columns = (
                axis_weights(n, side) for n, side in zip(x.shape[1:3], size, strict=True)
            )
            probabilities = nn.softmax(self.classify(resample(x, rows, columns)))
            scores.append(probabilities[..., 1:].reshape(len(x), -1, self.num_classes))
            boxes.append(window_grid(x.shape[1:3], size))
        options = {"min_score": self.min_score, "nms_iou": self.nms_iou, "limit": self.limit}
        choose = functools.partial(select, jnp.concatenate(boxes), **options)
        return jax.vmap(choose)(jnp.concatenate(scores, 1))

    def losses(self, x: jax.Array, objects: Objects, *, train: bool) -> dict[str, jax.Array]:
        """The loss [B] of images x, mean cross-entropy of sampled windows in nats.

        Needs the key `sample`.

        Raises:
            ValueError: as in `detect`.
        """
        check_images(self, x, max(max(size) for size in self.sizes))
        boxes = jnp.concatenate([window_grid(x.shape[1:3], size) for size in self.sizes])

        def windows(key: jax.Array, image: jax.Array, objects: Objects) -> tuple[jax.Array, ...]:
            exists = objects.classes >= 0
            matches = match(boxes, objects.boxes, exists, self.high, self.low, best_of_each=True)
            chosen = sample(key, matches.label, self.windows_per_image, 0.25)
            most = min(self.windows_per_image, len(boxes))
            valid, index = jax.lax.top_k(chosen.astype(jnp.int32), most)
            classes = objects.classes[matches.box[index]] + 1
            labels = jnp.where(matches.label[index] == 1, classes, 0)
            return jax.vmap(functools.partial(crop_window, image))(boxes[index]), labels, valid

        keys = jax.random.split(self.make_rng("sample"), len(x))
        pixels, labels, valid = jax.vmap(windows)(keys, x, objects)
        logits = self.classify(pixels.reshape(-1, *pixels.shape[2:])).reshape(*labels.shape, -1)
        right = jnp.take_along_axis(logits, labels[..., None], -1)[..., 0]
        entropy = jnp.where(valid, nn.logsumexp(logits, -1) - right, 0)
        return {"classes": entropy.sum(1) / jnp.maximum(valid.sum(1), 1)}


def window_count(length: int, side: int) -> int:
    """The number of boxes of this side, 4/24 of it apart, along an axis of the image."""
    return (length - side) * BOX // (STRIDE * side) + 1


def window_grid(image: tuple[int, int], size: tuple[int, int]) -> jax.Array:
    """The boxes [N, 4] of this size (height, width) that are searched in an image (H, W)."""
    y, x = (
        jnp.arange(window_count(n, side)) * (STRIDE * side / BOX)
        for n, side in zip(image, size, strict=True)
    )
    y, x = jnp.meshgrid(y, x, indexing="ij")
    return jnp.stack([x, y, x + size[1], y + size[0]], -1).reshape(-1, 4)


def axis_weights(length: int, side: int) -> jax.Array:
    """Weights [n, length] of the pixels of an axis, resampled for boxes of this side."""
    pixels = WINDOW + STRIDE * (window_count(length, side) - 1)
    return resampling_weights(jnp.arange(pixels), jnp.array(0.0), jnp.array(float(side)), length)


def crop_window(image: jax.Array, box: jax.Array) -> jax.Array:
    """The window [32, 32, C] of an image [H, W, C] around a box [4]."""
    pixels, (x0, y0, x1, y1) = jnp.arange(WINDOW), box
    rows = resampling_weights(pixels, y0, y1 - y0, image.shape[0])
    columns = resampling_weights(pixels, x0, x1 - x0, image.shape[1])
    return resample(image[None], rows, columns)[0]


def resampling_weights(
    pixels: jax.Array, start: jax.Array, side: jax.Array, length: int
) -> jax.Array:
    """Weights [n, length] of an image's pixels in those of a window, along one axis.

    A triangle, as wide as a pixel of the image or of the window, the wider of them (bilinear,
    antialiased). What lies outside the image is as its border.

    Args:
        pixels: numbers [n] of the pixels; the box begins with the fourth.
        start: where the box begins, in pixels of the image.
        side: of the box, in pixels of the image.
        length: of the image.
    """
    step = side / BOX
    middle = start + (pixels + 0.5 - (WINDOW - BOX) / 2) * step - 0.5
    distance = jnp.clip(middle, 0, length - 1)[:, None] - jnp.arange(length)[None]
    shares = jnp.maximum(1 - jnp.abs(distance) / jnp.maximum(step, 1), 0)
    return shares / shares.sum(1, keepdims=True)


def resample(x: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
    """Images [B, h, w, C] whose pixels are weighted means, rows [h, H] and columns [w, W], of those
    of x [B, H, W, C]."""
    return jnp.einsum("hi,bijc,wj->bhwc", rows, x, columns)
