"""Faster R-CNN: a network proposes regions, another names them and moves their edges.

Ren, He, Girshick and Sun, Faster R-CNN: Towards Real-Time Object Detection with Region Proposal
Networks, NIPS 2015. With a feature pyramid: Lin et al., CVPR 2017.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers import boxes as box_functions
from nets.layers import checks
from nets.layers import region_proposals as proposing
from nets.layers.detections import Detections, Objects, check_selection, select
from nets.layers.feature_pyramid import FeaturePyramid
from nets.layers.image_checks import check_head, check_images
from nets.layers.region_proposals import BETA, REGION_VARIANCES, ProposalHead, Regions, has_sides
from nets.layers.roi import Pooling, region_features
from nets.resnet import ResNet50
from nets.vgg import VGG


class FasterRCNN(nn.Module):
    """Faster R-CNN on any image network that hands out its stages.

    The region proposal network, a 3x3 convolution and two 1x1 ones, gives each anchor a score and
    four offsets; the best after non-maximum suppression are the proposals. Features of each
    (RoI align or pooling) go through two dense layers to class scores and, for each class, offsets.
    All numbers of boxes are fixed, and the whole is one program.

    >>> from nets.convnet import ConvNet
    >>> backbone = ConvNet((8, 8, 8), (3, 3, 3), num_classes=0)
    >>> model = FasterRCNN(backbone, ("conv3",), None, num_classes=3, sizes=(16.0,), hidden=16)
    >>> detections = jax.eval_shape(
    ...     lambda: model.init_with_output(
    ...         jax.random.key(0), jnp.zeros((2, 64, 64, 1)), method="detect"
    ...     )
    ... )[0]
    >>> detections.boxes.shape, detections.classes.shape
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
        cross_boundary: whether anchors that pass the border of the image are trained on; else they
            are left out (Ren et al., section 3.3).
        min_background: intersection over union with an object from which on a region that is none
            is background; what has less is not trained on (Girshick 2015, section 2.3: 0.1).
        box_beta: beta of the smooth L1 loss of the regions' boxes (Girshick 2015, equation 3: 1).
        multiple: images are filled up with 0, to the right and below, to sides that are multiples
            of it, as in torchvision, so that each map of a lower stride has a whole one.
        min_score: score below which nothing is detected.
        nms_iou: intersection over union above which only the higher score of a class is kept.
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
    pooling: Pooling = "align"
    two_scores: bool = False
    dropout: float = 0.0
    candidates: tuple[int, int] = (2000, 1000)
    proposals: tuple[int, int] = (2000, 1000)
    anchors_per_image: int = 256
    regions_per_image: int = 512
    cross_boundary: bool = True
    min_background: float = 0.0
    box_beta: float = BETA
    multiple: int = 32
    min_score: float = 0.05
    nms_iou: float = 0.5
    limit: int = 100
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        check_head(self)
        checks.check_at_least("FasterRCNN.num_classes", self.num_classes, 1)
        checks.check_choice("FasterRCNN.pooling", self.pooling, Pooling)
        check_selection("FasterRCNN", self.min_score, self.nms_iou, self.limit)
        checks.check_between("FasterRCNN.min_background", self.min_background, 0, 0.5)
        checks.check_at_least("FasterRCNN.box_beta", self.box_beta, 0)
        for field in ("candidates", "proposals"):
            checks.check_length(f"FasterRCNN.{field}", getattr(self, field), 2)
            checks.check_at_least(f"FasterRCNN.{field}", min(getattr(self, field)), 1)
        for field in ("sizes", "ratios"):
            checks.check_at_least(f"len(FasterRCNN.{field})", len(getattr(self, field)), 1)
            checks.check_positive(f"FasterRCNN.{field}", min(getattr(self, field)))
        for field in ("hidden", "anchors_per_image", "regions_per_image", "multiple"):
            checks.check_at_least(f"FasterRCNN.{field}", getattr(self, field), 1)
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        if self.pyramid:
            self.fpn = FeaturePyramid(self.pyramid, **dtypes)
        anchors = len(self.ratios) * (1 if self.pyramid else len(self.sizes))
        self.rpn = ProposalHead(anchors, self.two_scores, **dtypes)
        self.fc6, self.fc7 = (nn.Dense(self.hidden, **dtypes) for _ in range(2))
        self.drop = nn.Dropout(self.dropout)
        options = dtypes | {"dtype": jnp.promote_types(self.dtype, jnp.float32)}
        classes, normal = self.num_classes + 1, nn.initializers.normal
        self.logits = nn.Dense(classes, kernel_init=normal(0.01), **options)
        self.offsets = nn.Dense(4 * classes, kernel_init=normal(0.001), **options)

    @property
    def flattened(self) -> dict[str, tuple[int, int]]:
        """The linear layers that read flattened maps, by name, and the [H, W] of these maps."""
        return {"fc6": (7, 7)}

    def __call__(self, x: jax.Array, *, train: bool) -> Detections:
        """The detections in images x [B, H, W, C]; uses all parameters.

        Raises:
            ValueError: x is not [B, H, W, C]; a field is out of its range; or the stages, the
                pyramid, the sizes and the pooling do not go together.
        """
        return self.detect(x)

    def detect(self, x: jax.Array) -> Detections:
        """The detections in images x [B, H, W, C], at most `limit` in each.

        Raises:
            ValueError: as in `__call__`.
        """
        maps, size = self._maps(x, train=False), x.shape[1:3]
        regions = self.regions(maps, size, train=False)
        logits, offsets = self._classify(maps, regions.boxes, size, train=False)

        def one(regions: Regions, logits: jax.Array, offsets: jax.Array) -> Detections:
            around = jnp.broadcast_to(regions.boxes[:, None], offsets.shape)
            boxes = box_functions.decode(offsets, around, REGION_VARIANCES)[:, 1:]
            boxes = box_functions.clip(boxes, *size)
            usable = regions.valid[:, None] & has_sides(boxes, 1e-2)
            return select(
                boxes,
                jnp.where(usable, nn.softmax(logits)[:, 1:], -jnp.inf),
                min_score=self.min_score,
                nms_iou=self.nms_iou,
                limit=self.limit,
                candidates=1000,
            )

        return jax.vmap(one)(regions, logits, offsets)

    def losses(self, x: jax.Array, objects: Objects, *, train: bool) -> dict[str, jax.Array]:
        """The parts [B] of the loss of images x (equation 1), of proposals and of regions.

        Needs the key `sample`, and the key `dropout` while training if `dropout` is above 0.

            objectness  cross-entropy of the sampled anchors, mean
            proposals   smooth L1 (beta 1/9) of the offsets of objects among them, over their number
            classes     cross-entropy of the sampled regions, mean
            boxes       smooth L1 (`box_beta`) of the offsets of their class, over their number

        Raises:
            ValueError: as in `__call__`.
        """
        maps, size = self._maps(x, train=train), x.shape[1:3]
        scored = self._scored(maps)
        anchors = self._anchors(maps, size)
        keys = jax.random.split(self.make_rng("sample"), (2, len(x)))
        whole = jnp.concatenate(anchors)
        usable = (whole == box_functions.clip(whole, *size)).all(-1) | self.cross_boundary
        first = functools.partial(proposing.proposal_losses, whole, self.anchors_per_image)
        parts = jax.vmap(functools.partial(first, usable=usable))(keys[0], *scored, objects)
        regions = self._proposed(jax.lax.stop_gradient(scored), anchors, size, train=True)
        second = functools.partial(
            proposing.region_targets, self.regions_per_image, min_background=self.min_background
        )
        targets = jax.vmap(second)(keys[1], regions, objects)
        logits, offsets = self._classify(maps, targets.boxes, size, train=train)
        third = functools.partial(proposing.region_losses, beta=self.box_beta)
        return parts | jax.vmap(third)(logits, offsets, targets)

    def proposals_of(self, x: jax.Array) -> tuple[list[jax.Array], Regions]:
        """The anchors [N_l, 4] of each map, and the proposals in images x [B, H, W, C] by falling
        scores."""
        maps, size = self._maps(x, train=False), x.shape[1:3]
        return self._anchors(maps, size), self.regions(maps, size, train=False)

    def regions(self, maps: list[jax.Array], size: tuple[int, int], train: bool) -> Regions:
        """The proposals of images of this size (H, W) with these maps (`_maps`), [B, R, ...]."""
        return self._proposed(self._scored(maps), self._anchors(maps, size), size, train)

    def _maps(self, x: jax.Array, train: bool) -> list[jax.Array]:
        """The maps [B, H, W, C] that anchors stand on, largest first."""
        check_images(self, x, 1)
        below, right = (
            m - n for m, n in zip(self._padded(x.shape[1:3]), x.shape[1:3], strict=True)
        )
        x = jnp.pad(x, ((0, 0), (0, below), (0, right), (0, 0)))
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
        if self.pooling == "pool" and self.pyramid:
            raise ValueError("FasterRCNN.pooling must be align with a pyramid, got pool")
        if len(maps) != (len(self.sizes) if self.pyramid else 1):
            raise ValueError(
                f"FasterRCNN.sizes must have one size for each of {len(maps)} maps of a pyramid, "
                f"and without there must be one stage, got sizes {self.sizes} and {self.stages}"
            )
        return maps

    def _padded(self, size: tuple[int, int]) -> tuple[int, int]:
        """H and W of images of this size when they are filled up."""
        height, width = (-(-n // self.multiple) * self.multiple for n in size)
        return height, width

    def _anchors(self, maps: list[jax.Array], size: tuple[int, int]) -> list[jax.Array]:
        """The anchors [N_l, 4] of each map, for images of this size."""
        sizes = [(size,) for size in self.sizes] if self.pyramid else [self.sizes]
        shapes = [x.shape[1:3] for x in maps]
        return proposing.map_anchors(shapes, self._padded(size), sizes, self.ratios)

    def _scored(self, maps: list[jax.Array]) -> tuple[jax.Array, jax.Array]:
        """Scores [B, N] and offsets [B, N, 4] of all anchors."""
        scores, offsets = zip(*map(self.rpn, maps), strict=True)
        return jnp.concatenate(scores, 1), jnp.concatenate(offsets, 1)

    def _proposed(
        self,
        scored: tuple[jax.Array, jax.Array],
        anchors: list[jax.Array],
        size: tuple[int, int],
        train: bool,
    ) -> Regions:
        phase = 0 if train else 1
        limits = self.candidates[phase], self.proposals[phase]
        return jax.vmap(lambda s, o: proposing.propose(s, o, anchors, size, *limits))(*scored)

    def _classify(
        self, maps: list[jax.Array], boxes: jax.Array, size: tuple[int, int], train: bool
    ) -> tuple[jax.Array, jax.Array]:
        """Logits [B, R, K + 1] and offsets [B, R, K + 1, 4] of regions [B, R, 4]."""
        maps, height = maps[: len(self.stages)], self._padded(size)[0]
        features = functools.partial(region_features, height=height, pooling=self.pooling)
        x = jax.vmap(features)(maps, boxes)
        x = x.reshape(*x.shape[:2], -1)
        for dense in (self.fc6, self.fc7):
            x = self.drop(nn.relu(dense(x)), deterministic=not train)
        return self.logits(x), self.offsets(x).reshape(*x.shape[:2], -1, 4)


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
    cross_boundary=False,
    min_background=0.1,
    box_beta=1.0,
    nms_iou=0.3,
)
"""The published network: 9 anchors at a position, 137,078,239 parameters for 20 classes."""
