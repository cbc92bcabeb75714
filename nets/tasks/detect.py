"""Detection of objects: losses of the detector, average precision of what it finds."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from nets.layers.detections import Detections, Objects
from nets.layers.region_proposals import Regions
from nets.report.figures import Figure
from nets.tasks import detect_figures, detection_metrics
from nets.tasks.detection_metrics import Image, average_precision
from nets.tasks.metrics import Metrics, collect, compute, masked_sum, mean
from nets.tasks.task import Batch, Prediction, Predictive, Trained


class Detector(Protocol):
    """The methods that `Detect` needs of a model, such as `nets.yolo.YOLO`."""

    def __call__(self, x: jax.Array, *, train: bool) -> Any:
        """Uses all parameters."""

    def losses(self, x: jax.Array, objects: Objects, *, train: bool) -> dict[str, jax.Array]:
        """The weighted parts [B] of the loss, by name."""

    def detect(self, x: jax.Array) -> Detections:
        """The detections in images x."""


@runtime_checkable
class Proposing(Protocol):
    """A detector with region proposals, `nets.faster_rcnn.FasterRCNN`."""

    def proposals_of(self, x: jax.Array) -> tuple[list[jax.Array], Regions]:
        """The anchors [N_l, 4] of each map, and the proposals in images x."""


@dataclasses.dataclass(frozen=True)
class Detect(Predictive):
    """Detection by a `Detector`, of batches with "boxes" [B, N, 4] and classes "targets" [B, N].

    Batches may have "difficult" [B, N], objects that count neither for nor against. Metrics: loss
    and its parts; in evaluations map50, the mean over classes of the average precision at an
    intersection over union of 0.5 (area under the curve), and map50_voc07 (11 points).

    Attributes:
        coco: whether COCO's average precision is measured too, by pycocotools (the extra
            `detection`): coco_map (the mean over thresholds 0.5 to 0.95), coco_map50, coco_map75.
    """

    coco: bool = False

    maximise: ClassVar[tuple[str, ...]] = ("map50", "map50_voc07", "coco_map")

    def init(self, model: nn.Module, key: jax.Array, batch: Batch) -> tuple[Any, dict]:
        if self.coco:
            detection_metrics.import_coco()  # fails before training
        variables = dict(model.init(key, batch["inputs"], train=False))
        return variables.pop("params"), variables

    def loss(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        train: bool,
    ) -> tuple[jax.Array, tuple[dict, Metrics]]:
        keys = dict(zip(("dropout", "sample"), jax.random.split(key), strict=True))
        parts, updated = model.apply(
            {"params": params, **model_state},
            batch["inputs"],
            Objects(batch["boxes"], batch["targets"]),
            train=train,
            rngs=keys,
            mutable=list(model_state) if train else [],
            method="losses",
        )
        metrics = {name: masked_sum(part, batch) for name, part in parts.items()}
        metrics["loss"] = masked_sum(sum(parts.values()), batch)
        return mean(metrics["loss"]), ({**model_state, **updated}, metrics)

    def test(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        final: bool,
    ) -> tuple[dict, Metrics]:
        # `losses` and `detect` apply the network to the same images: XLA compiles that once
        counted = batch
        if "difficult" in batch:
            counted = batch | {"targets": jnp.where(batch["difficult"], -1, batch["targets"])}
        _, (_, metrics) = self.loss(model, params, model_state, counted, key, train=False)
        detections = model.apply(
            {"params": params, **model_state}, batch["inputs"], method="detect"
        )
        rows = {
            **detections._asdict(),
            "true_boxes": batch["boxes"],
            "true_classes": batch["targets"],
        }
        rows |= {"difficult": batch["difficult"]} if "difficult" in batch else {}
        return model_state, metrics | {"detections": collect(rows, batch)}

    def finish(
        self, metrics: Metrics, metadata: dict[str, Any], tokenizer: Any
    ) -> dict[str, float]:
        values = compute(metrics)
        if "detections" not in metrics:
            return values
        images = by_image(metrics)
        curves = [detection_metrics.curve(images, k) for k in range(metadata["num_classes"])]
        for name, points in (("map50", "area"), ("map50_voc07", "11")):
            each = [average_precision(curve, points) for curve in curves if curve.objects]
            values[name] = float(np.mean(each)) if each else float("nan")
        return values | (detection_metrics.coco(images) if self.coco else {})

    def figures(
        self, trained: Trained, batches: Sequence[Batch], metrics: Metrics, final: bool
    ) -> dict[str, Figure]:
        if not final:
            return {}
        images, metadata, inputs = by_image(metrics), trained.metadata, batches[0]["inputs"]
        figures = {
            "detections": detect_figures.detections(images, inputs, metadata),
            "precision": detect_figures.precision(images, metadata),
        }
        if isinstance(trained.model, Proposing):
            objects = [(image.true_classes >= 0).sum() for image in images[: len(inputs)]]
            k = int(np.argmax(objects))
            variables = {"params": trained.params, **trained.model_state}
            propose = functools.partial(trained.model.apply, variables, method="proposals_of")
            anchors, regions = jax.jit(propose)(inputs[k : k + 1])
            boxes = np.asarray(regions.boxes[0])[np.asarray(regions.valid[0])]
            anchors = np.concatenate(anchors)
            args = images[k], inputs[k : k + 1], metadata
            figures["proposals"] = detect_figures.proposals(anchors, boxes, *args)
        return figures

    def outputs(self, model: nn.Module, params: Any, model_state: dict, batch: Batch) -> Detections:
        """The detections [1, N] in an image."""
        return model.apply({"params": params, **model_state}, batch["inputs"], method="detect")

    def prediction(self, trained: Trained, source: Batch, outputs: Any) -> Prediction:
        return detect_figures.prediction(trained.metadata, source, outputs)


def by_image(metrics: Metrics) -> list[Image]:
    """The rows that an evaluation collected, by image."""
    rows = metrics["detections"].values
    columns = (rows[name] for name in Image._fields if name in rows)
    return [Image(*values) for values in zip(*columns, strict=True)]
