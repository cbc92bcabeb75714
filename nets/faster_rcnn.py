"""Faster R-CNN: a network proposes regions, another names them and moves their edges.

Ren, He, Girshick and Sun, Faster R-CNN: Towards Real-Time Object Detection with Region Proposal
Networks, NIPS 2015. With a feature pyramid: Lin et al., CVPR 2017.
"""

import functools
import math
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers import boxes as box_functions
from nets.layers.boxes import match, nms, sample, smooth_l1
from nets.layers.conv import Conv
from nets.layers.detections import Detections, Objects, select
from nets.layers.feature_pyramid import FeaturePyramid
from nets.layers.roi import pyramid_align, pyramid_level, roi_align, roi_pool
from nets.resnet import ResNet50
from nets.vgg import VGG

REGION_VARIANCES = (0.1, 0.1, 0.2, 0.2)
"""Of the offsets of a region's box; those of a proposal are not scaled."""

_BETA = 1 / 9  # of smooth L1


class Regions(NamedTuple):
    """Proposals of an image.

    Attributes:
        boxes: [R, 4].
        valid: [R], whether there is one.
    """

    boxes: jax.Array
    valid: jax.Array


class FasterRCNN(nn.Module):
    """Faster R-CNN on any image network that hands out its stages.

    The region proposal network, a 3x3 convolution and two 1x1 ones, gives each anchor a score and
    four offsets; the best after non-maximum suppression are the proposals. Features of each
    (RoI align or pooling) go through two dense layers to class scores and, for each class, offsets.
    All numbers of boxes are fixed, and the whole is one program.

    >>> from nets.convnet import ConvNet
    >>> backbone = ConvNet((8, 8, 8), (3, 3, 3), num_classes=0)
    >>> model = FasterRCNN(backbone, ("conv3",), None, num_classes=3, sizes=(16.0,), hidden=16)
    >>> found = jax.eval_shape(
    ...     lambda: model.init_with_output(
    ...         jax.random.key(0), jnp.zeros((2, 64, 64, 1)), method="detect"
    ...     )
    ... )[0]
    >>> found.boxes.shape, found.classes.shape
    ((2, 100, 4), (2, 100))

    Attributes:
        backbone: the image network; it has its own `dtype`.
        stages: its spatial stages that are read, largest first; one if there is no pyramid.
        pyramid: channels of a feature pyramid on them; to its maps every second position of the
            smallest is added as one more, for anchors only. None means no pyramid.
        num_classes: number of classes, the background not among them. None means that the data
            fills it in.
        sizes: sides of the anchors in pixels: one for each map of a pyramid, else all on the map.
        ratios: height over width of the anchors.
        hidden: units of the dense layers.
        pooling: features of a region, RoI align (He et al. 2017) or RoI pooling.
        two_scores: whether an anchor has a score for the background too, as published, and a
            softmax; else one score and a sigmoid.
        dropout: probability of dropping a unit of the dense layers while training.
        candidates: anchors of a map that come to the suppression, while training and after.
        proposals: those that are left of an image, while training and after.
        anchors_per_image: anchors of an image in the loss of the proposals, half of them objects.
        regions_per_image: proposals of an image in the loss of the regions, a quarter objects.
        min_score: score below which nothing is detected.
        overlap: intersection over union above which only the higher score of a class is kept.
        limit: maximum of detections in an image.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    backbone: nn.Module
    stages: tuple[str, ...]
    pyramid: int | None = 256
    num_classes: int | None = None
    sizes: tuple[float, ...] = (32.0, 64.0, 128.0, 256.0, 512.0)
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    hidden: int = 1024
    pooling: Literal["align", "pool"] = "align"
    two_scores: bool = False
    dropout: float = 0.0
    candidates: tuple[int, int] = (2000, 1000)
    proposals: tuple[int, int] = (2000, 1000)
    anchors_per_image: int = 256
    regions_per_image: int = 512
    min_score: float = 0.05
    overlap: float = 0.5
    limit: int = 100
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        if self.pyramid:
            self.fpn = FeaturePyramid(self.pyramid, **dtypes)
        small = {"kernel_init": nn.initializers.normal(0.01), **dtypes}
        anchors = self._anchors_at_a_position()
        self.rpn_conv = _SameWidth(**small)
        self.rpn_logits = Conv(anchors * (2 if self.two_scores else 1), (1, 1), **small)
        self.rpn_offsets = Conv(4 * anchors, (1, 1), **small)
        self.fc6, self.fc7 = (nn.Dense(self.hidden, **dtypes) for _ in range(2))
        self.drop = nn.Dropout(self.dropout)
        wide = jnp.promote_types(self.dtype, jnp.float32)
        self.logits = nn.Dense(self.num_classes + 1, **small | {"dtype": wide})
        start = {"kernel_init": nn.initializers.normal(0.001), "dtype": wide}
        self.offsets = nn.Dense(4 * (self.num_classes + 1), **{**dtypes, **start})

    @property
    def flattened(self) -> dict[str, tuple[int, int]]:
        """The linear layers that read flattened maps, by name, and the [H, W] of these maps."""
        return {"fc6": (7, 7)}

    @nn.nowrap
    def _anchors_at_a_position(self) -> int:
        return len(self.ratios) * (1 if self.pyramid else len(self.sizes))

    def __call__(self, x: jax.Array, *, train: bool) -> Detections:
        """The detections in images x [B, H, W, C]; uses all parameters."""
        return self.detect(x)

    def detect(self, x: jax.Array) -> Detections:
        """The detections in images x [B, H, W, C], at most `limit` in each."""
        maps = self._maps(x, train=False)
        scores, offsets, anchors = self._propose_scores(maps, x.shape[1:3])
        regions = jax.vmap(
            lambda s, o: self._proposals(s, o, anchors, maps, x.shape[1:3], train=False)
        )(scores, offsets)
        logits, offsets = self._classify(maps, regions.boxes, x.shape[1:3], train=False)

        def one(regions: Regions, logits: jax.Array, offsets: jax.Array) -> Detections:
            boxes = box_functions.decode(offsets, _each(regions.boxes, offsets), REGION_VARIANCES)
            boxes = box_functions.clip(boxes, *x.shape[1:3])[:, 1:]
            scores = nn.softmax(logits)[:, 1:]
            usable = regions.valid[:, None] & _large(boxes, 1e-2)
            return select(
                boxes,
                jnp.where(usable, scores, -jnp.inf),
                min_score=self.min_score,
                overlap=self.overlap,
                limit=self.limit,
                candidates=1000,
            )

        return jax.vmap(one)(regions, logits, offsets)

    def losses(self, x: jax.Array, objects: Objects, *, train: bool) -> dict[str, jax.Array]:
        """The parts [B] of the loss of images x (equation 1), of proposals and of regions.

        Needs the key `sample`, and the key `dropout` while training if `dropout` is above 0.

            objectness  cross-entropy of the sampled anchors, mean
            proposals   smooth L1 (beta 1/9) of the offsets of those that are objects, over their
                        number
            classes     cross-entropy of the sampled regions, mean
            boxes       smooth L1 of the offsets of their class, over their number
        """
        maps, size = self._maps(x, train=train), x.shape[1:3]
        scores, offsets, anchors = self._propose_scores(maps, size)
        keys = jax.random.split(self.make_rng("sample"), (2, len(x)))
        first = jax.vmap(functools.partial(self._proposal_losses, anchors))
        parts = first(keys[0], scores, offsets, objects)

        def choose(key, scores, offsets, objects):
            found = self._proposals(scores, offsets, anchors, maps, size, train=True)
            return self._sampled(key, found, objects)

        detached = jax.lax.stop_gradient((scores, offsets))
        boxes, labels, valid, targets = jax.vmap(choose)(keys[1], *detached, objects)
        logits, moved = self._classify(maps, boxes, size, train=train)
        return parts | jax.vmap(_region_losses)(logits, moved, labels, valid, targets)

    def _maps(self, x: jax.Array, train: bool) -> list[jax.Array]:
        """The maps [B, H, W, C] that anchors stand on, largest first."""
        _, stages = self.backbone(x, train=train, stages=True)
        if unknown := [name for name in self.stages if name not in stages]:
            raise ValueError(
                f"FasterRCNN.stages must be of {', '.join(stages)}, the stages of "
                f"{type(self.backbone).__name__}, got {unknown[0]!r}"
            )
        maps = [stages[name].astype(self.dtype) for name in self.stages]
        if self.pyramid:
            maps = self.fpn(maps)
            maps = [*maps, maps[-1][:, ::2, ::2]]
        if len(maps) != (len(self.sizes) if self.pyramid else 1):
            raise ValueError(
                f"FasterRCNN.sizes must have one size for each of {len(maps)} maps of a pyramid, "
                f"and without there must be one stage, got sizes {self.sizes} and {self.stages}"
            )
        return maps

    def _propose_scores(
        self, maps: list[jax.Array], size: tuple[int, int]
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Scores [B, N] and offsets [B, N, 4] of all anchors, and the anchors [N, 4]."""
        scores, offsets, anchors = [], [], []
        for i, x in enumerate(maps):
            sizes = self.sizes[i : i + 1] if self.pyramid else self.sizes
            shapes = jnp.round(box_functions.anchor_shapes(sizes, self.ratios))
            stride = (size[0] // x.shape[1], size[1] // x.shape[2])
            anchors.append(box_functions.anchor_grid(shapes, x.shape[1:3], stride))
            h = nn.relu(self.rpn_conv(x))
            score = self.rpn_logits(h).astype(jnp.float32)
            if self.two_scores:
                pairs = score.reshape(*score.shape[:3], -1, 2)
                score = pairs[..., 1] - pairs[..., 0]  # whose sigmoid is their softmax
            scores.append(score.reshape(len(x), -1))
            offsets.append(self.rpn_offsets(h).astype(jnp.float32).reshape(len(x), -1, 4))
        return jnp.concatenate(scores, 1), jnp.concatenate(offsets, 1), jnp.concatenate(anchors)

    def _proposals(
        self,
        scores: jax.Array,
        offsets: jax.Array,
        anchors: jax.Array,
        maps: list[jax.Array],
        size: tuple[int, int],
        train: bool,
    ) -> Regions:
        """The proposals of an image, by falling scores."""
        per_map, start = [], 0
        for level, x in enumerate(maps):
            count = x.shape[1] * x.shape[2] * self._anchors_at_a_position()
            most = min(self.candidates[0 if train else 1], count)
            value, index = jax.lax.top_k(scores[start : start + count], most)
            per_map.append((value, index + start, jnp.full(most, level)))
            start += count
        value, index, level = (jnp.concatenate(a) for a in zip(*per_map, strict=True))
        boxes = box_functions.clip(box_functions.decode(offsets[index], anchors[index]), *size)
        value = jnp.where(_large(boxes, 1e-3), value, -jnp.inf)
        limit = min(self.proposals[0 if train else 1], len(value))
        kept = nms(boxes, value, 0.7, limit, level)
        return Regions(boxes[kept.index], kept.valid)

    def _proposal_losses(
        self,
        anchors: jax.Array,
        key: jax.Array,
        scores: jax.Array,
        offsets: jax.Array,
        objects: Objects,
    ) -> dict[str, jax.Array]:
        """Of one image."""
        matches = match(anchors, objects.boxes, objects.classes >= 0, 0.7, 0.3, best_of_each=True)
        chosen = sample(key, matches.label, self.anchors_per_image, 0.5)
        right, count = matches.label == 1, jnp.maximum(chosen.sum(), 1)
        true = jnp.where(right[:, None], objects.boxes[matches.box], anchors)
        error = smooth_l1(offsets - box_functions.encode(true, anchors), _BETA).sum(-1)
        entropy = nn.softplus(jnp.where(right, -scores, scores))
        return {
            "objectness": jnp.where(chosen, entropy, 0).sum() / count,
            "proposals": jnp.where(chosen & right, error, 0).sum() / count,
        }

    def _sampled(
        self, key: jax.Array, regions: Regions, objects: Objects
    ) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        """Regions of an image for training, of its proposals and objects: boxes [R, 4], labels [R]
        (0 background), whether there is one [R], and the offsets [R, 4] to its object."""
        exists = objects.classes >= 0
        boxes = jnp.concatenate([regions.boxes, objects.boxes])
        usable = jnp.concatenate([regions.valid, exists])
        matches = match(boxes, objects.boxes, exists, 0.5, 0.5, best_of_each=False)
        label = jnp.where(usable, matches.label, -1)
        count = min(self.regions_per_image, len(boxes))
        chosen = sample(key, label, count, 0.25)
        valid, index = jax.lax.top_k(chosen.astype(jnp.int32), count)
        boxes, right = boxes[index], label[index] == 1
        box = matches.box[index]
        true = jnp.where(right[:, None], objects.boxes[box], boxes)
        safe = jnp.where((valid > 0)[:, None], boxes, jnp.array([[0.0, 0, 1, 1]]))
        true = jnp.where((valid > 0)[:, None], true, safe)
        labels = jnp.where(right, objects.classes[box] + 1, 0)
        return safe, labels, valid > 0, box_functions.encode(true, safe, REGION_VARIANCES)

    def _classify(
        self, maps: list[jax.Array], boxes: jax.Array, size: tuple[int, int], train: bool
    ) -> tuple[jax.Array, jax.Array]:
        """Logits [B, R, K + 1] and offsets [B, R, K + 1, 4] of regions [B, R, 4]."""
        maps = maps[: len(self.stages)]
        scales = [2.0 ** round(math.log2(a.shape[1] / size[0])) for a in maps]

        def features(maps: list[jax.Array], boxes: jax.Array) -> jax.Array:
            if self.pooling == "pool":
                return roi_pool(maps[0], boxes, (7, 7), scales[0])
            if len(maps) == 1:
                return roi_align(maps[0], boxes, (7, 7), scales[0])
            return pyramid_align(maps, boxes, pyramid_level(boxes, len(maps)), (7, 7), scales)

        x = jax.vmap(features)(maps, boxes)
        x = x.reshape(*x.shape[:2], -1)
        for dense in (self.fc6, self.fc7):
            x = self.drop(nn.relu(dense(x)), deterministic=not train)
        return self.logits(x), self.offsets(x).reshape(*x.shape[:2], -1, 4)


class _SameWidth(nn.Module):
    """A 3x3 convolution with as many channels as its input."""

    kernel_init: nn.initializers.Initializer
    dtype: DTypeLike
    param_dtype: DTypeLike

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        return Conv(x.shape[-1], (3, 3), kernel_init=self.kernel_init, **dtypes, name="conv")(x)


def _region_losses(
    logits: jax.Array, offsets: jax.Array, labels: jax.Array, valid: jax.Array, targets: jax.Array
) -> dict[str, jax.Array]:
    """Of one image."""
    count = jnp.maximum(valid.sum(), 1)
    chosen = jnp.take_along_axis(logits, labels[:, None], 1)[:, 0]
    entropy = nn.logsumexp(logits, -1) - chosen
    moved = jnp.take_along_axis(offsets, labels[:, None, None], 1)[:, 0]
    error = smooth_l1(moved - targets, _BETA).sum(-1)
    return {
        "classes": jnp.where(valid, entropy, 0).sum() / count,
        "boxes": jnp.where(valid & (labels > 0), error, 0).sum() / count,
    }


def _each(boxes: jax.Array, offsets: jax.Array) -> jax.Array:
    """Boxes [R, 4] for offsets [R, K, 4]."""
    return jnp.broadcast_to(boxes[:, None], offsets.shape)


def _large(boxes: jax.Array, side: float) -> jax.Array:
    """Whether both sides are at least so long."""
    return (boxes[..., 2:] - boxes[..., :2] >= side).all(-1)


FasterRCNNResNet50FPN = functools.partial(
    FasterRCNN,
    ResNet50(num_classes=0, frozen_norm=True),
    ("layer1", "layer2", "layer3", "layer4"),
)
"""torchvision's fasterrcnn_resnet50_fpn: 41,755,286 parameters for 90 classes."""

FasterRCNNVGG16 = functools.partial(
    FasterRCNN,
    VGG(16, num_classes=0),
    ("conv5_3",),
    None,
    sizes=(128.0, 256.0, 512.0),
    hidden=4096,
    pooling="pool",
    two_scores=True,
    dropout=0.5,
    candidates=(12000, 6000),
    proposals=(2000, 300),
    regions_per_image=128,
)
"""The published network: 9 anchors at a position, 137,078,239 parameters for 20 classes."""
