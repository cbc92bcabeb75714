"""Boxes [..., 4] as their corners (x0, y0, x1, y1) in pixels, and what detectors do with them.

Positions are continuous: the pixel [i, j] is the box (j, i, j + 1, i + 1), as in
`nets.data.annotations`. All functions have fixed shapes and no loop over boxes but that of `nms`.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

SCALE_LIMIT = math.log(1000 / 16)
"""Largest logarithm of a size over its anchor's that `decode` follows."""


def from_centers(boxes: jax.Array) -> jax.Array:
    """Corners of boxes [..., 4] given as (middle x, middle y, width, height).

    >>> from_centers(jnp.array([5.0, 5.0, 4.0, 2.0])).tolist()
    [3.0, 4.0, 7.0, 6.0]
    """
    middle, size = jnp.split(boxes, 2, -1)
    return jnp.concatenate([middle - size / 2, middle + size / 2], -1)


def to_centers(boxes: jax.Array) -> jax.Array:
    """(middle x, middle y, width, height) of boxes [..., 4]."""
    low, high = jnp.split(boxes, 2, -1)
    return jnp.concatenate([(low + high) / 2, high - low], -1)


def area(boxes: jax.Array) -> jax.Array:
    """Areas [...] of boxes [..., 4]; 0 where one is inverted."""
    return jnp.prod(jnp.maximum(boxes[..., 2:] - boxes[..., :2], 0), -1)


def iou(a: jax.Array, b: jax.Array) -> jax.Array:
    """Intersection over union [...] of boxes a and b [..., 4], which broadcast.

    All pairs are `iou(a[:, None], b[None])`. Of two boxes without area it is 0.

    >>> iou(jnp.array([0.0, 0, 2, 2]), jnp.array([1.0, 0, 3, 2])).item().__round__(4)
    0.3333
    """
    return _overlap(a, b)[0]


def giou(a: jax.Array, b: jax.Array) -> jax.Array:
    """Generalised intersection over union [...] (Rezatofighi et al. 2019, algorithm 1).

    From it the share of the smallest box around both that neither covers is subtracted: from -1
    (far apart) to 1 (the same), with a gradient where the boxes do not touch. No model here is
    trained by it; `1 - giou` is the loss of boxes in FCOS and DETR.
    """
    overlap, union = _overlap(a, b)
    low = jnp.minimum(a[..., :2], b[..., :2])
    around = area(jnp.concatenate([low, jnp.maximum(a[..., 2:], b[..., 2:])], -1))
    return overlap - (around - union) / jnp.maximum(around, 1e-9)


def _overlap(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Intersection over union, and union."""
    low, high = jnp.maximum(a[..., :2], b[..., :2]), jnp.minimum(a[..., 2:], b[..., 2:])
    both = jnp.prod(jnp.maximum(high - low, 0), -1)
    union = area(a) + area(b) - both
    return both / jnp.maximum(union, 1e-9), union


def clip(boxes: jax.Array, height: float, width: float) -> jax.Array:
    """Boxes [..., 4] within an image of that size."""
    return jnp.clip(boxes, 0, _as((width, height, width, height), boxes))


def _as(values: tuple[float, ...], boxes: jax.Array) -> jax.Array:
    """Four numbers for each of the boxes."""
    return jnp.broadcast_to(jnp.array(values, boxes.dtype), boxes.shape)


def encode(
    boxes: jax.Array, anchors: jax.Array, variances: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)
) -> jax.Array:
    """Offsets [..., 4] of boxes from anchors (Faster R-CNN, equation 2), over the variances.

        (x - x_a) / w_a,  (y - y_a) / h_a,  log(w / w_a),  log(h / h_a)

    Boxes and anchors must have an area.
    """
    box, anchor = to_centers(boxes), to_centers(anchors)
    shift = (box[..., :2] - anchor[..., :2]) / anchor[..., 2:]
    offsets = jnp.concatenate([shift, jnp.log(box[..., 2:] / anchor[..., 2:])], -1)
    return offsets / _as(variances, offsets)


def decode(
    offsets: jax.Array, anchors: jax.Array, variances: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)
) -> jax.Array:
    """The boxes [..., 4] that `encode` gives these offsets from these anchors.

    A size is at most 1000 / 16 times the anchor's, so that a wild prediction stays finite.
    """
    offsets, anchor = offsets * _as(variances, offsets), to_centers(anchors)
    middle = offsets[..., :2] * anchor[..., 2:] + anchor[..., :2]
    size = jnp.exp(jnp.minimum(offsets[..., 2:], SCALE_LIMIT)) * anchor[..., 2:]
    return from_centers(jnp.concatenate([middle, size], -1))


def anchor_shapes(sizes: tuple[float, ...], ratios: tuple[float, ...]) -> jax.Array:
    """Boxes [A, 4] around (0, 0) of each ratio (height over width) in each size (square root of
    the area, in pixels); all sizes of a ratio follow each other, as in torchvision."""
    size, ratio = jnp.array(sizes)[None], jnp.array(ratios)[:, None]
    height, width = size * jnp.sqrt(ratio), size / jnp.sqrt(ratio)
    return jnp.stack([-width, -height, width, height], -1).reshape(-1, 4) / 2


def anchor_grid(shapes: jax.Array, size: tuple[int, int], stride: tuple[int, int]) -> jax.Array:
    """Anchors [H * W * A, 4] of shapes [A, 4], at each position of a map of this size (H, W).

    Args:
        stride: pixels of the image, down and across, from one position to the next; the anchors of
            position [i, j] are around (j * stride across, i * stride down), as in torchvision.
    """
    y, x = (jnp.arange(n) * s for n, s in zip(size, stride, strict=True))
    y, x = jnp.meshgrid(y, x, indexing="ij")
    middle = jnp.stack([x, y, x, y], -1).astype(shapes.dtype)
    return (middle[:, :, None] + shapes[None, None]).reshape(-1, 4)


class Matches(NamedTuple):
    """Of each anchor the box that it stands for.

    Attributes:
        box: [N] int32, the number of the box that overlaps most.
        label: [N] int32, 1 an object, 0 background, -1 neither.
    """

    box: jax.Array
    label: jax.Array


def match(
    anchors: jax.Array,
    boxes: jax.Array,
    valid: jax.Array,
    high: float,
    low: float,
    best_of_each: bool,
) -> Matches:
    """Matches anchors [N, 4] with an image's boxes [G, 4] (Faster R-CNN, section 3.1.2).

    An anchor is an object where its largest overlap is at least `high`, background below `low`.

    Args:
        boxes: [G, 4]; G may be 0.
        valid: [G], whether a box is one; without any, all anchors are background.
        best_of_each: whether the anchors that overlap a box more than all others do are objects
            too (all of a tie), however little.
    """
    if not len(boxes):
        none = jnp.zeros(len(anchors), jnp.int32)
        return Matches(none, none)
    overlap = jnp.where(valid[None], iou(anchors[:, None], boxes[None]), -1)  # [N, G]
    largest = overlap.max(-1)
    label = jnp.where(largest >= high, 1, jnp.where(largest < low, 0, -1))
    if best_of_each:
        best = overlap.max(0, keepdims=True)
        is_best = ((overlap == best) & (valid[None] & (best > 0))).any(-1)
        label = jnp.where(is_best, 1, label)
    return Matches(overlap.argmax(-1).astype(jnp.int32), label.astype(jnp.int32))


def sample(key: jax.Array, label: jax.Array, count: int, positive: float) -> jax.Array:
    """A balanced random choice of anchors or proposals of an image (Fast R-CNN, section 2.3).

    Args:
        label: [N], 1 an object, 0 background, -1 neither (`match`).
        count: how many are chosen, at most.
        positive: share of them that are objects, at most; background fills the rest.

    Returns:
        [N] whether each is chosen.
    """
    order = jax.random.uniform(key, label.shape)

    def first(these: jax.Array, number: jax.Array | int) -> jax.Array:
        """The first of these in the random order."""
        rank = jnp.argsort(jnp.argsort(jnp.where(these, order, 2.0)))
        return these & (rank < number)

    objects = first(label == 1, int(count * positive))
    return objects | first(label == 0, count - objects.sum())


class Selection(NamedTuple):
    """Boxes that non-maximum suppression selects, by falling scores.

    Attributes:
        index: [limit] int32, which box; 0 where there is none.
        valid: [limit] bool, whether there is one.
    """

    index: jax.Array
    valid: jax.Array


def nms(
    boxes: jax.Array,
    scores: jax.Array,
    threshold: float,
    limit: int,
    classes: jax.Array | None = None,
) -> Selection:
    """Non-maximum suppression: the boxes that no selected box of a higher score overlaps by more
    than the threshold, at most `limit` of them.

        >>> boxes = jnp.array([[0.0, 0, 9, 9], [0.0, 0, 9, 8], [20.0, 20, 30, 30]])
        >>> nms(boxes, jnp.array([0.8, 0.9, 0.7]), threshold=0.5, limit=3).index.tolist()
        [1, 2, 0]

    Args:
        boxes: [N, 4].
        scores: [N]; a box whose score is -inf is none.
        classes: [N]; boxes of different classes never suppress each other. None means one class.
    """
    boxes, scores, count = jnp.asarray(boxes), jnp.asarray(scores), len(scores)
    if not count:
        return Selection(jnp.zeros(limit, jnp.int32), jnp.zeros(limit, bool))
    order = jnp.argsort(-scores, stable=True)
    x0, y0, x1, y1 = jnp.moveaxis(boxes[order], -1, 0)  # [N] each, which vector units like
    classes = None if classes is None else jnp.asarray(classes)[order]
    areas = area(boxes)[order]
    rank = jnp.arange(count, dtype=jnp.int32)

    def pick(remaining: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        """Takes the best of the boxes that remain: their ranks [N], `count` for the others."""
        best = remaining.min()
        k = jnp.minimum(best, count - 1)
        across = jnp.minimum(x1, x1[k]) - jnp.maximum(x0, x0[k])
        down = jnp.minimum(y1, y1[k]) - jnp.maximum(y0, y0[k])
        shared = jnp.maximum(across, 0) * jnp.maximum(down, 0)
        suppressed = shared / jnp.maximum(areas + areas[k] - shared, 1e-9) > threshold
        if classes is not None:
            suppressed &= classes == classes[k]
        return jnp.where(suppressed | (rank == best), count, remaining), best

    remaining = jnp.where(scores[order] > -jnp.inf, rank, count)
    _, best = lax.scan(pick, remaining, length=limit)
    valid = best < count
    index = order[jnp.minimum(best, count - 1)]
    return Selection(jnp.where(valid, index, 0).astype(jnp.int32), valid)


def smooth_l1(difference: jax.Array, beta: float = 1.0) -> jax.Array:
    """0.5 x^2 / beta where |x| < beta, else |x| - beta / 2 (Fast R-CNN, equation 3, beta 1)."""
    size = jnp.abs(difference)
    if beta == 0:
        return size
    return jnp.where(size < beta, 0.5 * difference**2 / beta, size - beta / 2)


def focal_loss(
    logits: jax.Array, targets: jax.Array, alpha: float = 0.25, gamma: float = 2.0
) -> jax.Array:
    """-alpha_t (1 - p_t)^gamma log(p_t) [...] (Lin et al. 2017, equation 5), in nats.

    No model here is trained by it; it is that of detectors without a proposal stage (RetinaNet).

    Args:
        logits: of the sigmoids, [...].
        targets: 1 or 0, [...].
        alpha: weight of targets that are 1; the others have 1 - alpha.
    """
    sign = 2 * targets - 1
    log_p = jax.nn.log_sigmoid(sign * logits)
    weight = targets * alpha + (1 - targets) * (1 - alpha)
    return -weight * (1 - jnp.exp(log_p)) ** gamma * log_p
