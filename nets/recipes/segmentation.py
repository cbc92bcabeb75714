"""Common parts of recipes of segmentation: CamVid's images, and how they are augmented."""

from typing import Any

import flax.linen as nn

from nets.data.segmentation import SegmentationImages
from nets.optim.optimizer import Optimizer
from nets.tasks.segment import Segment
from nets.train.experiment import Experiment

CAMVID = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian",
    "bicyclist",
)  # fmt: skip
"""The 11 classes of CamVid in SegNet's version, in the order of their ids; 11 is void."""


def camvid(
    model: nn.Module,
    optimizer: Optimizer,
    *,
    crop: tuple[int, int] | None = None,
    batch_size: int = 8,
    every: int,
    **run: Any,
) -> Experiment:
    """CamVid at 180 x 240 pixels, mirrored half of the time, and enlarged or reduced.

    Args:
        crop: height and width of the part that is trained on. None means 180 x 240.
        every: steps between evaluations and checkpoints.
        run: other fields of `Experiment`: how long it trains (`steps`).
    """
    data = SegmentationImages(
        classes=CAMVID,
        void=(11,),
        image_size=(180, 240),
        crop=crop,
        scale=(0.75, 1.5),
        flip=True,
        colour_jitter=0.2,
        batch_size=batch_size,
        eval_batch_size=20,
    )
    return Experiment(
        model,
        Segment(),
        data,
        optimizer,
        eval_every=every,
        save_every=every,
        monitor="mean_iou",
        **run,
    )
