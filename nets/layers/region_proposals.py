"""Region proposals: scored anchors, the best of them, and the targets that both are trained by.

Ren et al., Faster R-CNN, NIPS 2015, section 3.1; regions as in Girshick, Fast R-CNN, ICCV 2015. All
functions are of one image and have fixed shapes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers import boxes as box_functions
from nets.layers.boxes import match, nms, sample, smooth_l1
from nets.layers.conv import Conv
from nets.layers.detections import Objects

REGION_VARIANCES = (0.1, 0.1, 0.2, 0.2)
"""Of the offsets of a region's box; those of an anchor are not scaled."""

BETA = 1 / 9
"""Of the smooth L1 loss of offsets, as in torchvision."""


class ProposalHead(nn.Module):
    """Scores and offsets of the anchors at each position of a map: a 3x3 convolution, two 1x1.

        >>> head, x = ProposalHead(9), jnp.zeros((1, 4, 4, 8))
        >>> [a.shape for a in head.init_with_output(jax.random.key(0), x)[0]]
        [(1, 144), (1, 144, 4)]

    Attributes:
        anchors: number of anchors at a position.
        two_scores: whether an anchor has a score for the background too, as published; else the
            score is that of a sigmoid.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    anchors: int
    two_scores: bool = False
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Maps x [B, H, W, C] to scores [B, H W A] and offsets [B, H W A, 4], float32."""
        options = {"kernel_init": nn.initializers.normal(0.01)}
        options |= {"dtype": self.dtype, "param_dtype": self.param_dtype}
        h = nn.relu(Conv(x.shape[-1], (3, 3), **options, name="conv")(x))
        scores = Conv(self.anchors * (1 + self.two_scores), (1, 1), **options, name="logits")(h)
        scores = scores.astype(jnp.float32)
        if self.two_scores:
            pairs = scores.reshape(*scores.shape[:3], -1, 2)
            scores = pairs[..., 1] - pairs[..., 0]  # whose sigmoid is their softmax
        offsets = Conv(4 * self.anchors, (1, 1), **options, name="offsets")(h)
        return scores.reshape(len(x), -1), offsets.astype(jnp.float32).reshape(len(x), -1, 4)


class Regions(NamedTuple):
    """Proposals of an image.

    Attributes:
        boxes: [R, 4].
        valid: [R], whether there is one.
    """

    boxes: jax.Array
    valid: jax.Array


class RegionTargets(NamedTuple):
    """Regions of an image that are trained on.

    Attributes:
        boxes: [R, 4].
        labels: [R] int, the class + 1; 0 is the background.
        valid: [R], whether there is one.
        offsets: [R, 4], from a region to its object.
    """

    boxes: jax.Array
    labels: jax.Array
    valid: jax.Array
    offsets: jax.Array


def map_anchors(
    maps: Sequence[tuple[int, int]],
    image: tuple[int, int],
    sizes: Sequence[tuple[float, ...]],
    ratios: tuple[float, ...],
) -> list[jax.Array]:
    """The anchors [N_l, 4] of each map: their shapes, rounded, at every position.

    Args:
        maps: height and width of each map.
        image: that of the image; a map's stride is the whole number of its pixels per position.
        sizes: those of the anchors of each map, in pixels.
        ratios: height over width of the anchors.
    """
    anchors = []
    for shape, sides in zip(maps, sizes, strict=True):
        boxes = jnp.round(box_functions.anchor_shapes(sides, ratios))
        stride = image[0] // shape[0], image[1] // shape[1]
        anchors.append(box_functions.anchor_grid(boxes, shape, stride))
    return anchors


def propose(
    scores: jax.Array,
    offsets: jax.Array,
    anchors: Sequence[jax.Array],
    size: tuple[int, int],
    candidates: int,
    limit: int,
) -> Regions:
    """The proposals of an image, by falling scores.

    Args:
        scores: [N] of all anchors.
        offsets: [N, 4].
        anchors: those of each map, [N_l, 4].
        size: H and W of the image in pixels.
        candidates: maximum of anchors of a map that come to the suppression.
        limit: maximum of proposals.
    """
    values, indices, levels, start = [], [], [], 0
    for level, here in enumerate(anchors):
        most = min(candidates, len(here))
        value, index = jax.lax.top_k(scores[start : start + len(here)], most)
        values.append(value)
        indices.append(index + start)
        levels.append(jnp.full(most, level))
        start += len(here)
    value, index, level = map(jnp.concatenate, (values, indices, levels))
    boxes = box_functions.decode(offsets[index], jnp.concatenate(anchors)[index])
    boxes = box_functions.clip(boxes, *size)
    value = jnp.where(has_sides(boxes, 1e-3), value, -jnp.inf)
    selection = nms(boxes, value, 0.7, min(limit, len(value)), level)
    return Regions(boxes[selection.index], selection.valid)


def has_sides(boxes: jax.Array, minimum: float) -> jax.Array:
    """Whether both sides [...] of boxes [..., 4] have at least this length."""
    return (boxes[..., 2:] - boxes[..., :2] >= minimum).all(-1)


def proposal_losses(
    anchors: jax.Array,
    count: int,
    key: jax.Array,
    scores: jax.Array,
    offsets: jax.Array,
    objects: Objects,
    usable: jax.Array | None = None,
) -> dict[str, jax.Array]:
    """The losses "objectness" and "proposals" of `count` sampled anchors, half of them objects.

    Args:
        anchors: [N, 4].
        count: number of anchors that are sampled.
        key: of the sampling.
        scores: [N].
        offsets: [N, 4].
        objects: of the image, boxes [G, 4].
        usable: [N], whether an anchor takes part. None means that all do.
    """
    if usable is None:
        usable = jnp.full(len(anchors), True)
    considered = jnp.where(usable[:, None], anchors, 0)  # without area, what matches no object
    matches = match(considered, objects.boxes, objects.classes >= 0, 0.7, 0.3, best_of_each=True)
    matches = matches._replace(label=jnp.where(usable, matches.label, -1))
    chosen = sample(key, matches.label, count, 0.5)
    right, total = matches.label == 1, jnp.maximum(chosen.sum(), 1)
    true = jnp.where(right[:, None], objects.boxes[matches.box], anchors)
    error = smooth_l1(offsets - box_functions.encode(true, anchors), BETA).sum(-1)
    entropy = nn.softplus(jnp.where(right, -scores, scores))
    return {
        "objectness": jnp.where(chosen, entropy, 0).sum() / total,
        "proposals": jnp.where(chosen & right, error, 0).sum() / total,
    }


def region_targets(
    count: int,
    key: jax.Array,
    regions: Regions,
    objects: Objects,
    min_background: float = 0.0,
) -> RegionTargets:
    """At most `count` of an image's proposals and objects, a quarter of them objects.

    Args:
        min_background: intersection over union with an object from which on a region that is none
            is background (Fast R-CNN, section 2.3: 0.1); what has less is not trained on.
    """
    exists = objects.classes >= 0
    boxes = jnp.concatenate([regions.boxes, objects.boxes])
    usable = jnp.concatenate([regions.valid, exists])
    matches = match(boxes, objects.boxes, exists, 0.5, 0.5, best_of_each=False)
    if min_background > 0:
        near = match(boxes, objects.boxes, exists, min_background, min_background, False).label
        usable &= near == 1
    label = jnp.where(usable, matches.label, -1)
    count = min(count, len(boxes))
    valid, index = jax.lax.top_k(sample(key, label, count, 0.25).astype(jnp.int32), count)
    valid, right, box = valid > 0, label[index] == 1, matches.box[index]
    boxes = jnp.where(valid[:, None], boxes[index], jnp.array([[0.0, 0, 1, 1]]))
    true = jnp.where((valid & right)[:, None], objects.boxes[box], boxes)
    labels = jnp.where(right, objects.classes[box] + 1, 0)
    return RegionTargets(boxes, labels, valid, box_functions.encode(true, boxes, REGION_VARIANCES))


def region_losses(
    logits: jax.Array, offsets: jax.Array, targets: RegionTargets, beta: float = BETA
) -> dict[str, jax.Array]:
    """The losses "classes" of logits [R, K + 1] and "boxes" of offsets [R, K + 1, 4].

    Args:
        beta: of the smooth L1 loss of the offsets (Fast R-CNN, equation 3: 1).
    """
    total = jnp.maximum(targets.valid.sum(), 1)
    chosen = jnp.take_along_axis(logits, targets.labels[:, None], 1)[:, 0]
    entropy = nn.logsumexp(logits, -1) - chosen
    moved = jnp.take_along_axis(offsets, targets.labels[:, None, None], 1)[:, 0]
    error = smooth_l1(moved - targets.offsets, beta).sum(-1)
    return {
        "classes": jnp.where(targets.valid, entropy, 0).sum() / total,
        "boxes": jnp.where(targets.valid & (targets.labels > 0), error, 0).sum() / total,
    }
