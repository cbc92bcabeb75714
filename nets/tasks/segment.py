"""Segmentation: the class of every pixel, by cross-entropy; intersection over union."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from nets.errors import UserError, check_range
from nets.report.figures import Figure
from nets.tasks import segment_figures, segmentation_metrics, superpixels
from nets.tasks.classify import apply, check_auxiliary
from nets.tasks.losses import cross_entropy
from nets.tasks.metrics import Metrics, collect, compute, mean
from nets.tasks.superpixels import Felzenszwalb
from nets.tasks.task import Batch, Prediction, Predictive, Trained


@dataclasses.dataclass(frozen=True)
class Segment(Predictive):
    """Semantic segmentation by `model(x, train=...) -> [B, H, W, K]`, logits of every pixel.

    Batches hold "targets" [B, H, W] int32, the class of each pixel, -1 where it is void: such
    pixels count in no loss and no metric. They may hold "class_weights" [B, K], by which the
    pixels of each class are weighed in the loss (`nets.data.segmentation`).

    Metrics: loss, the weighted mean of the cross-entropy of all pixels, and accuracy, the share of
    pixels that are right. In an evaluation also class_accuracy, the mean of that share over
    classes, mean_iou, the mean over classes of intersection over union, and boundary_iou, the same
    of the pixels within `trimap` pixels of a boundary; all from the confusion matrix of the whole
    split. The closing evaluation has the intersection over union of each class, iou_CLASS, and
    with `superpixels` superpixel_accuracy, superpixel_class_accuracy and superpixel_mean_iou: the
    same of predictions that are, in each superpixel of the image, the class of most of its pixels.

    Attributes:
        auxiliary: weight in the training loss of the cross-entropy of each auxiliary head
            (`nets.tasks.classify.AuxiliaryHeads`), whose logits are [B, H, W, K] too.
        trimap: maximum distance in pixels to a boundary of the pixels of boundary_iou.
        superpixels: the superpixels of the closing evaluation, by scikit-image (the extra
            `segmentation`). None means none.
    """

    auxiliary: float = 0.0
    trimap: int = 3
    superpixels: Felzenszwalb | None = None

    maximise: ClassVar[tuple[str, ...]] = ("accuracy", "class_accuracy", "mean_iou", "boundary_iou")

    def __post_init__(self) -> None:
        check_range(self, "auxiliary", at_least=0)
        check_range(self, "trimap", at_least=1)

    def init(self, model: nn.Module, key: jax.Array, batch: Batch) -> tuple[Any, dict]:
        check_auxiliary(model, self.auxiliary)
        if self.superpixels is not None:
            superpixels.import_felzenszwalb()  # fails before training
        collections = flax.core.DenyList("intermediates")
        logits, variables = model.init_with_output(
            key, batch["inputs"], train=False, mutable=collections
        )
        check_logits(model, logits, batch)
        return variables["params"], {k: v for k, v in variables.items() if k != "params"}

    def loss(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        train: bool,
    ) -> tuple[jax.Array, tuple[dict, Metrics]]:
        variables, with_heads = {"params": params, **model_state}, train and self.auxiliary > 0
        logits, heads, updated = apply(model, variables, batch, key, train, with_heads)
        metrics = pixel_metrics(logits, batch)
        loss = mean(metrics["loss"])
        for head in heads:
            loss += self.auxiliary * mean(pixel_loss(head, batch))
        return loss, ({**model_state, **updated}, metrics)

    def test(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        final: bool,
    ) -> tuple[dict, Metrics]:
        logits = model.apply({"params": params, **model_state}, batch["inputs"], train=False)
        targets, predictions, counts = batch["targets"], logits.argmax(-1), labelled(batch)
        near = segmentation_metrics.trimap(targets, self.trimap)
        matrices = {"confusion": counts, "boundary_confusion": counts & near}
        metrics = pixel_metrics(logits, batch)
        for name, pixels in matrices.items():
            matrix = segmentation_metrics.confusion(targets, predictions, pixels, logits.shape[-1])
            metrics[name] = matrix, pixels.sum()
        if final:
            matrix = metrics["confusion"][0]
            right = jnp.diag(matrix)
            metrics["iou"] = right, matrix.sum(0) + matrix.sum(1) - right
        if final and self.superpixels is not None:
            small = {"target": targets, "prediction": predictions}
            rows = {name: a.astype(jnp.int16) for name, a in small.items()}
            metrics["images"] = collect({"image": batch["inputs"], **rows}, batch)
        return model_state, metrics

    def finish(
        self, metrics: Metrics, metadata: dict[str, Any], tokenizer: Any
    ) -> dict[str, float]:
        values = compute(metrics)
        if "confusion" not in metrics:
            return values
        matrix, boundary = (metrics[name][0] for name in ("confusion", "boundary_confusion"))
        values["class_accuracy"] = segmentation_metrics.class_accuracy(matrix)
        values["mean_iou"] = segmentation_metrics.mean_iou(matrix)
        values["boundary_iou"] = segmentation_metrics.mean_iou(boundary)
        if "iou" in metrics:
            for name, right, union in zip(metadata["class_names"], *metrics["iou"], strict=True):
                if union > 0:
                    values[f"iou_{name.replace(' ', '_')}"] = float(right / union)
        if "images" in metrics:
            values |= self._superpixel_scores(metrics["images"].values, metadata)
        return values

    def _superpixel_scores(
        self, rows: dict[str, list[np.ndarray]], metadata: dict[str, Any]
    ) -> dict[str, float]:
        count = metadata["num_classes"]
        matrix = np.zeros((count, count), int)
        columns = (rows[name] for name in ("image", "target", "prediction"))
        for image, target, prediction in zip(*columns, strict=True):
            smoothed = self.superpixels.smoothed(image, prediction, metadata)
            matrix += segmentation_metrics.confusion_on_host(target, smoothed, count)
        return {
            "superpixel_accuracy": segmentation_metrics.pixel_accuracy(matrix),
            "superpixel_class_accuracy": segmentation_metrics.class_accuracy(matrix),
            "superpixel_mean_iou": segmentation_metrics.mean_iou(matrix),
        }

    def figures(
        self, trained: Trained, batches: Sequence[Batch], metrics: Metrics, final: bool
    ) -> dict[str, Figure]:
        if not final:
            return {}
        batch, metadata = segment_figures.sample(batches), trained.metadata
        variables = {"params": trained.params, **trained.model_state}
        classes = jax.jit(lambda x: trained.model.apply(variables, x, train=False).argmax(-1))
        masks = {"prediction": np.asarray(classes(batch["inputs"]))}
        if self.superpixels is not None:
            pairs = zip(batch["inputs"], masks["prediction"], strict=True)
            smoothed = [self.superpixels.smoothed(*pair, metadata) for pair in pairs]
            masks["by superpixel"] = np.stack(smoothed)
        return {
            "segmentations": segment_figures.predictions(
                batch["inputs"], batch["targets"], masks, metadata
            ),
            **segment_figures.scores(metrics["confusion"][0], metadata),
        }

    def outputs(self, model: nn.Module, params: Any, model_state: dict, batch: Batch) -> jax.Array:
        """The class of each pixel of an image, [1, H, W]."""
        logits = model.apply({"params": params, **model_state}, batch["inputs"], train=False)
        return logits.argmax(-1)

    def prediction(self, trained: Trained, source: Batch, outputs: Any) -> Prediction:
        return segment_figures.prediction(trained.metadata, source, outputs[0])


def labelled(batch: Batch) -> jax.Array:
    """The pixels [B, H, W] bool that count: neither void nor of a row that only fills up."""
    counts = batch["targets"] >= 0
    return counts & (batch["mask"] > 0)[:, None, None] if "mask" in batch else counts


def pixel_loss(logits: jax.Array, batch: Batch) -> tuple[jax.Array, jax.Array]:
    """Sum and weight of the cross-entropy of all pixels that count, by the classes' weights.

    The weight is that of the sum, but at least the smallest number above 0: the loss of a batch
    that is void throughout is 0.
    """
    targets = jnp.maximum(batch["targets"], 0)
    weights = labelled(batch).astype(jnp.float32)
    if "class_weights" in batch:
        rows = jnp.arange(len(targets))[:, None, None]
        weights *= batch["class_weights"][rows, targets]
    total = weights.sum()
    each = cross_entropy(logits, targets)
    return jnp.sum(each * weights), jnp.maximum(total, jnp.finfo(total.dtype).tiny)


def pixel_metrics(logits: jax.Array, batch: Batch) -> Metrics:
    """Loss and pixel accuracy of logits [B, H, W, K]."""
    counts = labelled(batch)
    right = counts & (logits.argmax(-1) == batch["targets"])
    return {"loss": pixel_loss(logits, batch), "accuracy": (right.sum(), counts.sum())}


def check_logits(model: nn.Module, logits: jax.Array, batch: Batch) -> None:
    """Refuses targets that are no classes [B, H, W], or of another size than the logits.

    Raises:
        UserError: they are such.
    """
    targets, name = batch["targets"], type(model).__name__
    if targets.ndim != 3 or not jnp.issubdtype(targets.dtype, jnp.integer):
        raise UserError(
            f"the targets of a segmentation must be the classes of pixels, int [B, H, W], got "
            f"{targets.dtype} {list(targets.shape)}."
        )
    if logits.ndim != 4 or logits.shape[:3] != targets.shape:
        raise UserError(
            f"the logits of {name} must be [B, H, W, K] for targets [B, H, W] = "
            f"{list(targets.shape)}, got {list(logits.shape)} of images "
            f"{list(batch['inputs'].shape)}."
        )
