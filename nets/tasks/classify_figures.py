"""Figures of a classification: mistakes, confusion, ROC, filters, maps; the classes of an image."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from nets.report.class_scores import ClassScores
from nets.report.figures import Figure, stored_pixels
from nets.report.heatmap import Heatmap
from nets.report.image_grid import ImageGrid
from nets.report.line_plot import LinePlot
from nets.tasks import rejection
from nets.tasks.metrics import Rows
from nets.tasks.sequence_figures import real
from nets.tasks.task import Prediction, moved_back

_MISTAKES = 24
_MAPS = 64
_BEST = 5  # classes of a prediction


def predictions(rows: Rows, batches: Sequence[dict], metadata: dict[str, Any]) -> dict[str, Figure]:
    """Figures of a whole split: worst mistakes of images, confusion matrix, rejection curve.

    Args:
        rows: "target", "prediction", "margin" (between the two largest scores) and "penalty" of
            every example.
        batches: those of the split; pictures are "image", or "inputs" if those are [B, H, W, C].
        metadata: that of the data; "class_names" names the classes.
    """
    names = metadata["class_names"]
    target, prediction, margin, penalty = (
        np.array(rows.values[k]) for k in ("target", "prediction", "margin", "penalty")
    )
    wrong = prediction != target
    confusion = np.zeros((len(names), len(names)), int)
    np.add.at(confusion, (target, prediction), 1)
    figures: dict[str, Figure] = {
        "confusion": Heatmap(
            f"Confusion matrix: {wrong.sum()} of {len(wrong)} wrong",
            confusion,
            tuple(names),
            tuple(names),
            "true class",
            "predicted class",
            unit="examples",
        ),
        "rejection": rejecting(margin, wrong),
    }
    pictures = "image" if "image" in batches[0] else "inputs"
    if batches[0][pictures].ndim != 4:
        return figures
    worst = np.flatnonzero(wrong)
    worst = worst[np.argsort(-penalty[worst], kind="stable")][:_MISTAKES]
    if len(worst):
        captions = tuple(f"{names[target[i]]} read as {names[prediction[i]]}" for i in worst)
        size = len(batches[0]["mask"])
        needed = {i: batches[i] for i in sorted(set(worst // size))}
        images = np.stack([needed[i // size][pictures][i % size] for i in worst])
        images, units = stored_pixels(images, metadata)
        figures["mistakes"] = ImageGrid("The worst mistakes", images, captions, **units)
    return figures


def prediction(
    metadata: dict[str, Any], source: dict, scores: np.ndarray, unit: str = "probability"
) -> Prediction:
    """The five best classes of an image.

    Args:
        metadata: that of the data; "class_names" names the classes.
        source: of an image (`nets.data.dataset.Input`).
        scores: [K], of the classes; "distance" is the better the smaller.
        unit: what scores are.
    """
    order = np.argsort(scores if unit == "distance" else -scores, kind="stable")[:_BEST]
    best = [(metadata["class_names"][k], k, float(scores[k])) for k in order.tolist()]
    read = moved_back(np.stack([[0, 0], source["size"][::-1]]), source["matrix"]).reshape(-1)
    names, _, values = zip(*best, strict=True)
    title = f"Best class: {names[0]} ({unit} {values[0]:.3f})"
    return Prediction(
        "  ".join(f"{name} {score:.3f}" for name, _, score in best),
        {
            "score": unit,
            "top": [{"class": name, "id": k, "score": score} for name, k, score in best],
        },
        ClassScores(title, source["image"], tuple(read.tolist()), names, values, unit),
    )


def rejecting(margin: np.ndarray, wrong: np.ndarray) -> LinePlot:
    """`nets.tasks.rejection.curve` up to half of all rejected."""
    rejected, error = rejection.curve(margin, wrong)
    half = rejected <= 0.5
    curves = {"error of the accepted": 100 * error[half]}
    return LinePlot(
        "Error when the least certain are rejected",
        100 * rejected[half], curves, "rejected / % of all", "error / % of the accepted",
    )  # fmt: skip


def roc(rows: Rows, names: Sequence[str]) -> LinePlot:
    """ROC curves of each class against the rest; of two classes, of the second alone.

    Args:
        rows: "target" and "score" [K] of every example.
        names: of the classes.
    """
    from sklearn.metrics import roc_curve

    target, score = np.array(rows.values["target"]), np.array(rows.values["score"])
    rate, curves = np.linspace(0, 1, 501), {}
    for k in range(len(names)) if len(names) > 2 else [1]:
        if 0 < np.sum(target == k) < len(target):
            false, true, _ = roc_curve(target == k, score[:, k])
            curves[f"{names[k]} (area {np.trapezoid(true, false):.3f})"] = np.interp(
                rate, false, true
            )
    return LinePlot(
        "ROC: how many are recognised at how many false alarms",
        100 * rate, {name: 100 * curve for name, curve in curves.items()} | {"chance": 100 * rate},
        "false positive rate / %", "true positive rate / %",
    )  # fmt: skip


def filters(model: nn.Module, variables: dict, inputs: Any) -> dict[str, Figure]:
    """The first convolution's kernel, where its inputs are pictures, grey or RGB."""
    kernel = first_kernel(model, variables, inputs)
    if kernel is None or kernel.shape[2] not in (1, 3):
        return {}
    selected = np.moveaxis(np.asarray(kernel, np.float32), -1, 0)[:64]
    most = float(np.abs(selected).max())  # so that no weight at all is grey
    captions = tuple(map(str, range(len(selected))))
    view = ImageGrid("First-layer filters", selected, captions, limits=(-most, most), unit="weight")
    return {"filters": view}


def first_kernel(model: nn.Module, variables: dict, inputs: Any) -> Any | None:
    """The kernel [h, w, C, F] that a model calls first, none if that is not of two dimensions."""
    paths: list[tuple[str, ...]] = []

    def note(call, args, kwargs, context):
        if context.method_name == "__call__":
            paths.append(context.module.path)
        return call(*args, **kwargs)

    with nn.intercept_methods(note):
        jax.eval_shape(lambda v, x: model.apply(v, x, train=False), variables, inputs)
    for path in paths:
        parameters = variables["params"]
        for name in path:
            parameters = parameters.get(name, {})
        if "kernel" in parameters:
            return parameters["kernel"] if np.ndim(parameters["kernel"]) == 4 else None
    return None


def feature_maps(
    model: nn.Module,
    variables: dict,
    batch: dict,
    stages: tuple[str, ...],
    metadata: dict[str, Any],
) -> dict[str, Figure]:
    """The first image of a batch, and what each of these stages [B, H, W, C] makes of it."""
    image = real(batch)["inputs"][:1]
    outputs = jax.jit(lambda x: model.apply(variables, x, train=False, stages=True)[1])(image)
    pixels, _ = stored_pixels(image, metadata)
    figures: dict[str, Figure] = {}
    for stage in stages:
        maps = np.moveaxis(np.asarray(outputs[stage][0], np.float32), -1, 0)[..., None]
        selected = maps[:_MAPS]
        side = np.maximum(image.shape[1:3], maps.shape[1:3])
        cells = [_enlarged(cell, side, image.shape[-1]) for cell in (*pixels, *selected)]
        count = f"{len(selected)} of {len(maps)} maps"
        title = f"{stage}: {count}, each from its minimum (black) to its maximum (white)"
        captions = ("image", *map(str, range(len(selected))))
        figures[f"maps_{stage}"] = ImageGrid(title, np.stack(cells), captions)
    return figures


def _enlarged(cell: np.ndarray, side: np.ndarray, channels: int) -> np.ndarray:
    """A cell [h, w, 1 or C] stretched to 0..1, [*side, C], without interpolation."""
    rows, columns = (np.arange(n) * old // n for n, old in zip(side, cell.shape, strict=False))
    cell = cell[rows][:, columns]
    spread = cell.max() - cell.min()
    return np.broadcast_to((cell - cell.min()) / (spread or 1), (*side, channels))
