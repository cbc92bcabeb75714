"""Common parts of recipes: the images of a data set, their crops, when it is evaluated."""

from typing import Any

import flax.linen as nn

from nets.data.images import Images
from nets.optim.optimizer import Optimizer
from nets.tasks.classify import Classify
from nets.train.experiment import Experiment
from nets.types import Epochs, Steps


def imagenet(
    model: nn.Module,
    optimizer: Optimizer,
    *,
    batch_size: int,
    task: Classify = Classify(),  # noqa: B008
    image_size: int = 224,
    crop: str = "area",
    eval_short_side: int = 256,
    images: dict[str, Any] | None = None,
    **run: Any,
) -> Experiment:
    """ImageNet (ILSVRC 2012, 1,000 classes), mirrored, evaluated and saved once an epoch.

    Args:
        crop: as of `Images`; "area" are parts of random area and shape, "jitter" of random size.
        images: other fields of `Images`.
        run: fields of `Experiment`: how long it trains (`epochs` or `steps`), `average`.
    """
    data = Images(
        name="imagenet2012",
        batch_size=batch_size,
        image_size=image_size,
        crop=crop,
        eval_short_side=eval_short_side,
        flip=True,
        **(images or {}),
    )
    return _classify(model, task, data, optimizer, Epochs(1), run)


def cifar(
    model: nn.Module,
    optimizer: Optimizer,
    *,
    batch_size: int = 128,
    task: Classify = Classify(),  # noqa: B008
    validation: float = 0.1,
    pad_crop: int = 4,
    every: Steps = Epochs(1),  # noqa: B008
    **run: Any,
) -> Experiment:
    """CIFAR-10 cut from images padded by `pad_crop` pixels, and mirrored half of the time.

    Args:
        validation: share of the training images that is held out to choose by.
        every: when it is evaluated and saved.
        run: other fields of `Experiment`: how long it trains (`epochs` or `steps`).
    """
    data = Images(
        name="cifar10",
        batch_size=batch_size,
        eval_batch_size=500,
        validation=validation,
        pad_crop=pad_crop,
        flip=True,
    )
    return _classify(model, task, data, optimizer, every, run)


def _classify(
    model: nn.Module,
    task: Classify,
    data: Images,
    optimizer: Optimizer,
    every: Steps,
    run: dict[str, Any],
) -> Experiment:
    return Experiment(
        model, task, data, optimizer, eval_every=every, save_every=every, monitor="accuracy", **run
    )
