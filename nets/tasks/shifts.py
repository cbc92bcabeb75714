"""Several classifiers at once, judged by how they take images that are moved."""

import dataclasses
import itertools
from collections.abc import Iterable
from typing import Any, ClassVar

import flax.linen as nn
import jax
import numpy as np

from nets.connectivity import CONNECTIONS
from nets.report.figures import Images, Lines, Panels, Text, View, stored_pixels
from nets.tasks.classify import cross_entropy
from nets.tasks.metrics import means, quotient, weighed
from nets.tasks.sequence_figures import real


@dataclasses.dataclass(frozen=True)
class AcrossShifts:
    """Joins `model(x, train=...) -> {connection: logits [B, K]}` to the sum of cross-entropies.

    The nets share nothing, so one update trains each as if it were alone (with a gradient that is
    not clipped by its norm). Metrics: loss, the sum in nats, and the accuracy of each net by its
    name. The picture `shifts` shows the accuracy over the distance that test images are moved.
    """

    maximise: ClassVar[tuple[str, ...]] = CONNECTIONS

    def init(self, model: nn.Module, key: jax.Array, batch: dict) -> tuple[Any, dict]:
        return model.init(key, batch["image"], train=False)["params"], {}

    def loss(self, model, params, model_state, batch, key, train):
        logits = model.apply({"params": params}, batch["image"], train=train)
        each = sum(cross_entropy(answer, batch["label"]) for answer in logits.values())
        metrics = {"loss": weighed(each, batch)}
        for name, answer in logits.items():
            metrics[name] = weighed(answer.argmax(-1) == batch["label"], batch)
        return quotient(metrics["loss"]), (model_state, metrics)

    def finish(self, sums: dict) -> dict[str, float]:
        return means(sums)

    def views(self, model, params, model_state, batches: Iterable[dict], facts, key, final: bool):
        if not final:
            return {}
        apply = jax.jit(lambda x: model.apply({"params": params}, x, train=False))
        curves = accuracies(apply, map(real, batches), facts["margin"])
        sizes = {k: sum(leaf.size for leaf in jax.tree.leaves(v)) for k, v in params.items()}
        legend = {f"{k} ({sizes[k]:,} parameters)": 100 * v for k, v in curves.items()}
        distances = np.arange(facts["margin"] + 1)
        trained = f"trained on shifts up to {facts['shift']}"
        chart = Lines(f"Accuracy, {trained}", distances, legend, "pixels moved", "accuracy / %")
        image = real(next(iter(batches)))["image"][:1]
        shown = np.concatenate([moved(image, d, d) for d in distances])
        pixels, units = stored_pixels(shown, facts)
        samples = Images(
            "A test image, moved by so many pixels", pixels, tuple(map(str, distances)), **units
        )
        found: dict[str, View] = {
            "shifts": Panels("What shared weights are for", (chart, samples)),
            "accuracies": Text("Accuracy on moved test images", table(curves)),
        }
        return found


def moved(images: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Images [B, H, W, C] moved down and to the right; their frames must be as wide as that."""
    return np.roll(images, (rows, columns), axis=(1, 2))


def accuracies(apply, batches: Iterable[dict], margin: int) -> dict[str, np.ndarray]:
    """The accuracy of each net, [margin + 1], by the pixels that images are moved.

    To be moved by d is to be moved by d along one or both axes, the mean of the eight directions.
    """
    directions = [step for step in itertools.product((-1, 0, 1), repeat=2) if any(step)]
    right, total = {}, 0
    for batch in batches:
        images, labels = batch["image"], batch["label"]
        total += len(labels) * len(directions)
        for d in range(margin + 1):
            for row, column in directions:
                for name, logits in apply(moved(images, d * row, d * column)).items():
                    found = right.setdefault(name, np.zeros(margin + 1))
                    found[d] += np.sum(np.asarray(logits).argmax(-1) == labels)
    return {name: found / total for name, found in right.items()}


def table(curves: dict[str, np.ndarray]) -> str:
    """A line for each distance, a column for each net."""
    lines = ["pixels moved" + "".join(f"{name:>9}" for name in curves)]
    for d, row in enumerate(zip(*curves.values(), strict=True)):
        lines.append(f"{d:>12}" + "".join(f"{value:>9.3f}" for value in row))
    return "\n".join(lines)
