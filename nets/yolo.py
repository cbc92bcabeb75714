"""YOLO: detection as one regression from the image to boxes and class probabilities.

Redmon, Divvala, Girshick and Farhadi, You Only Look Once: Unified, Real-Time Object Detection,
CVPR 2016.
"""

import functools
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.boxes import from_centers, iou
from nets.layers.checks import check_at_least, check_choice
from nets.layers.conv import HE, Conv
from nets.layers.conv_norm_act import conv_norm_act
from nets.layers.detections import Detections, Objects, check_selection, select
from nets.layers.image_checks import check_images
from nets.layers.norm import BatchNorm
from nets.layers.pooling import max_pool
from nets.vgg import VGG


class Form(NamedTuple):
    """Layers of one form of the network.

    Attributes:
        convolutions: (window, channels, stride) of each; None is 2x2 max pooling.
        hidden: units of the fully connected layers before the output; empty means that the output
            is a 1x1 convolution.
        norm: whether batch normalisation follows each convolution, which then has no bias.
    """

    convolutions: tuple[tuple[int, int, int] | None, ...]
    hidden: tuple[int, ...]
    norm: bool = False


_LAST = ((3, 1024, 1), (3, 1024, 2), (3, 1024, 1), (3, 1024, 1))
FORMS = {
    "full": Form(
        (
            (7, 64, 2), None, (3, 192, 1), None, (1, 128, 1), (3, 256, 1), (1, 256, 1),
            (3, 512, 1), None, *((1, 256, 1), (3, 512, 1)) * 4, (1, 512, 1), (3, 1024, 1), None,
            *((1, 512, 1), (3, 1024, 1)) * 2, *_LAST,
        ),
        (4096,),
    ),
    "fast": Form(
        (
            (3, 16, 1), None, (3, 32, 1), None, (3, 64, 1), None, (3, 128, 1), None, (3, 256, 1),
            None, (3, 512, 1), None, *((3, 1024, 1),) * 3,
        ),
        (256, 4096),
    ),
    "vgg16": Form(_LAST, (4096,)),
    "small": Form(
        (
            (5, 32, 2), None, (3, 64, 1), None, (3, 128, 1), None, (3, 128, 1), (3, 128, 1),
        ),
        (),
        norm=True,
    ),
    "medium": Form(
        (
            (5, 32, 2), None, (3, 64, 1), None, (3, 128, 1), None, (3, 256, 1), (3, 256, 1),
        ),
        (),
        norm=True,
    ),
}  # fmt: skip
"""The paper's network (figure 3), its fast form, its VGG-16 form, and two for small images."""


class YOLO(nn.Module):
    """YOLO, whose outputs are predictions of each cell of a grid of S x S.

    A cell predicts A boxes and, once, the probability of each class given that the middle of an
    object is in it. Of a box: its middle within the cell, the square roots of its width and height
    as shares of the image, and its confidence, Pr(object) * IoU. For three channels, 448 px
    (S = 7) and 20 classes

        full      24 convolutions, 2 fully connected layers: 271,703,550 parameters
        fast      9 convolutions, 3 fully connected layers, of darknet's yolo-tiny
        vgg16     the convolutions of `nets.vgg.VGG` and the full form's last four
        small     5 convolutions with batch normalisation and stride 16 in all, for small images;
                  the output is a 1x1 convolution, so that an image may have any size
        medium    the same of 5 convolutions, of more channels

    All nonlinearities but VGG's are leaky, max(x, 0.1 x); dropout follows the first fully connected
    layer. Convolutions are initialised as in He et al. 2015.

    >>> model, x = YOLO("small", num_classes=3), jnp.zeros((2, 64, 64, 3))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 4, 4, 13)

    Attributes:
        form: which of these.
        num_classes: number of classes. None means that the data fills it in.
        boxes: boxes that a cell predicts, A.
        coordinate_weight: weight of the loss of middles and sizes.
        no_object_weight: weight of the loss of the confidence of boxes without an object.
        dropout: probability of dropping a unit while training.
        min_score: score, confidence times class probability, below which nothing is detected.
        nms_iou: intersection over union above which only the higher score of a class is kept.
        limit: maximum of detections in an image.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    form: Literal["full", "fast", "vgg16", "small", "medium"] = "full"
    num_classes: int | None = None
    boxes: int = 2
    coordinate_weight: float = 5.0
    no_object_weight: float = 0.5
    dropout: float = 0.5
    min_score: float = 0.05
    nms_iou: float = 0.5
    limit: int = 50
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps x [B, H, W, C] to outputs [B, S, S', 5 A + num_classes], float32 at least.

        The last axis has for each box x, y, sqrt(w), sqrt(h) and the confidence, then the class
        probabilities. Needs the key `dropout` while training.

        Raises:
            ValueError: x is not [B, H, W, C] of at least 64 x 64 pixels; `form` is unknown;
                `num_classes` is None or 0; `boxes` or `limit` is below 1; or `nms_iou` is outside
                of [0, 1].
        """
        check_images(self, x, 64)
        check_choice("YOLO.form", self.form, tuple(FORMS))
        check_at_least("YOLO.num_classes", self.num_classes, 1)
        check_at_least("YOLO.boxes", self.boxes, 1)
        check_selection("YOLO", self.min_score, self.nms_iou, self.limit)
        form, dtypes = FORMS[self.form], {"dtype": self.dtype, "param_dtype": self.param_dtype}
        leaky = functools.partial(nn.leaky_relu, negative_slope=0.1)
        norm = functools.partial(BatchNorm, use_running_average=not train, **dtypes)
        block = functools.partial(
            conv_norm_act,
            conv=functools.partial(Conv, use_bias=not form.norm, kernel_init=HE, **dtypes),
            norm=norm if form.norm else None,
            activation=leaky,
        )
        if self.form == "vgg16":
            backbone = VGG(16, num_classes=0, **dtypes, name="backbone")
            x = backbone(x, train=train, stages=True)[1]["pool5"]
        i = 0
        for layer in form.convolutions:
            if layer is None:
                x = max_pool(x, 2)
                continue
            i, (window, features, stride) = i + 1, layer
            x = block(x, features, (window, window), stride, names=(f"conv{i}", f"bn{i}"))
        rows, columns = x.shape[1:3]
        channels = 5 * self.boxes + self.num_classes
        if not form.hidden:
            return Conv(channels, (1, 1), **dtypes, name="output")(x).astype(jnp.float32)
        x = x.reshape(x.shape[0], -1)
        for j, features in enumerate(form.hidden, 1):
            x = leaky(nn.Dense(features, **dtypes, name=f"fc{j}")(x))
            x = nn.Dropout(self.dropout, deterministic=not train)(x) if j == 1 else x
        x = nn.Dense(rows * columns * channels, **dtypes, name="output")(x)
        return x.reshape(-1, rows, columns, channels).astype(jnp.float32)

    def losses(self, x: jax.Array, objects: Objects, *, train: bool) -> dict[str, jax.Array]:
        """The parts [B] of the loss of images x, already weighted (equation 3); see `losses`.

        Needs the key `dropout` while training.

        Raises:
            ValueError: as in `__call__`.
        """
        outputs = self(x, train=train)
        parts = jax.vmap(functools.partial(losses, self.boxes, x.shape[1:3]))(outputs, objects)
        weights = {"coordinates": self.coordinate_weight, "no_object": self.no_object_weight}
        return {name: weights.get(name, 1.0) * part for name, part in parts.items()}

    def detect(self, x: jax.Array) -> Detections:
        """The detections in images x [B, H, W, C], at most `limit` in each.

        Raises:
            ValueError: as in `__call__`.
        """

        def one(outputs: jax.Array) -> Detections:
            boxes, confidence, classes = split(outputs, self.boxes)
            corners = to_corners(boxes, x.shape[1:3]).reshape(-1, 4)
            scores = confidence[..., None] * classes[..., None, :]
            return select(
                corners,
                scores.reshape(-1, self.num_classes),
                min_score=self.min_score,
                nms_iou=self.nms_iou,
                limit=self.limit,
            )

        return jax.vmap(one)(self(x, train=False))


def split(outputs: jax.Array, boxes: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Boxes [S, S', A, 4], confidences [S, S', A] and class probabilities [S, S', K] of an image's
    outputs [S, S', 5 A + K]."""
    each = outputs[..., : 5 * boxes].reshape(*outputs.shape[:2], boxes, 5)
    return each[..., :4], each[..., 4], outputs[..., 5 * boxes :]


def to_corners(boxes: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Corners in pixels of boxes [S, S', A, 4] as the network has them, in an image (H, W)."""
    rows, columns = boxes.shape[:2]
    y, x = jnp.meshgrid(jnp.arange(rows), jnp.arange(columns), indexing="ij")
    cell = jnp.broadcast_to(jnp.stack([x, y], -1)[:, :, None], (*boxes.shape[:3], 2))
    scale = jnp.array([size[1], size[0]], boxes.dtype)
    scale = jnp.broadcast_to(scale, cell.shape)
    middle = (boxes[..., :2] + cell) * scale / jnp.array([columns, rows])[None, None, None]
    return from_centers(jnp.concatenate([middle, boxes[..., 2:] ** 2 * scale], -1))


def losses(
    boxes: int, size: tuple[int, int], outputs: jax.Array, objects: Objects
) -> dict[str, jax.Array]:
    """The parts of equation 3 for one image, not yet weighted.

        coordinates  sum over objects of (x - x')^2 + (y - y')^2 + (sqrt w - sqrt w')^2 + ...
        object       sum over objects of (C - IoU)^2
        no_object    sum over all other boxes of C^2
        classes      sum over objects and classes of (p(c) - p'(c))^2

    An object belongs to the cell that its middle is in, there to the responsible box, whose
    intersection over union with it is largest (where none meets it, the nearest in
    middle and size). Of objects in one cell the first counts.

    Args:
        boxes: boxes that a cell predicts, A.
        size: H and W of the image in pixels.
        outputs: [S, S', 5 A + K].
        objects: of the image, boxes [N, 4].
    """
    rows, columns = outputs.shape[:2]
    predicted, confidence, probabilities = split(outputs, boxes)
    corners = to_corners(predicted, size)
    predicted, confidence, probabilities, corners = (
        a.reshape(rows * columns, *a.shape[2:])
        for a in (predicted, confidence, probabilities, corners)
    )

    x0, y0, x1, y1 = jnp.moveaxis(objects.boxes, -1, 0)
    across, down = (x0 + x1) / 2 / size[1] * columns, (y0 + y1) / 2 / size[0] * rows
    column = jnp.clip(jnp.floor(across), 0, columns - 1)
    row = jnp.clip(jnp.floor(down), 0, rows - 1)
    cell = (row * columns + column).astype(jnp.int32)  # [N]
    valid = objects.classes >= 0
    same = (cell[:, None] == cell[None]) & valid[None]
    valid &= ~jnp.tril(same, -1).any(-1)  # the first of its cell
    root = jnp.sqrt(jnp.maximum(jnp.stack([(x1 - x0) / size[1], (y1 - y0) / size[0]], -1), 0))
    true = jnp.concatenate([jnp.stack([across - column, down - row], -1), root], -1)  # [N, 4]

    overlap = jax.lax.stop_gradient(iou(corners[cell], objects.boxes[:, None]))  # [N, A]
    error = jnp.square(predicted[cell] - true[:, None]).sum(-1)
    nearest = jnp.where(overlap.max(-1) > 0, overlap.argmax(-1), error.argmin(-1))
    error, overlap, predicted_overlap = (
        jnp.take_along_axis(a, nearest[:, None], -1)[:, 0]
        for a in (error, overlap, confidence[cell])
    )
    taken = jnp.zeros(confidence.shape).at[cell, nearest].max(valid.astype(jnp.float32))
    target = jax.nn.one_hot(objects.classes, probabilities.shape[-1])
    wrong = jnp.square(probabilities[cell] - target).sum(-1)
    return {
        "coordinates": jnp.where(valid, error, 0).sum(),
        "object": jnp.where(valid, jnp.square(predicted_overlap - overlap), 0).sum(),
        "no_object": jnp.sum((1 - taken) * confidence**2),
        "classes": jnp.where(valid, wrong, 0).sum(),
    }
