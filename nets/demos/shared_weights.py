"""Accuracy on digits that are shifted further than in training: the benefit of shared weights.

The task and the data of the experiment `shifted_digits`; its models are `nets.connectivity`.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import flax.linen as nn
import jax
import numpy as np

from nets.connectivity import CONNECTIONS
from nets.data.augment import pad_crop
from nets.data.dataset import Batches, Spec
from nets.data.derived_images import DerivedImages
from nets.data.images import Images
from nets.errors import UserError
from nets.report.figures import Figure, Panels, Text, stored_pixels
from nets.report.image_grid import ImageGrid
from nets.report.line_plot import LinePlot
from nets.tasks.losses import cross_entropy
from nets.tasks.metrics import Metrics, masked_sum, mean
from nets.tasks.sequence_figures import real
from nets.tasks.task import Batch, Task, Trained


@dataclasses.dataclass(frozen=True)
class CompareConnections(Task):
    """Trains `model(x, train=...) -> {connection: logits [B, K]}` by the sum of cross-entropies.

    The networks share nothing, so one update trains each independently (unless gradients are
    clipped by norm). Metrics: loss, the sum in nats, and the accuracy of each network by its name.
    The figure `shifts` plots accuracy over the distance that test images are shifted.
    """

    maximise: ClassVar[tuple[str, ...]] = CONNECTIONS

    def init(self, model: nn.Module, key: jax.Array, batch: dict) -> tuple[Any, dict]:
        return model.init(key, batch["inputs"], train=False)["params"], {}

    def loss(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        train: bool,
    ) -> tuple[jax.Array, tuple[dict, Metrics]]:
        logits = model.apply({"params": params}, batch["inputs"], train=train)
        losses = sum(cross_entropy(a, batch["targets"]) for a in logits.values())
        metrics = {"loss": masked_sum(losses, batch)}
        for name, a in logits.items():
            metrics[name] = masked_sum(a.argmax(-1) == batch["targets"], batch)
        return mean(metrics["loss"]), (model_state, metrics)

    def figures(
        self, trained: Trained, batches: Sequence[Batch], metrics: Metrics, final: bool
    ) -> dict[str, Figure]:
        if not final:
            return {}
        model, params, metadata = trained.model, trained.params, trained.metadata
        apply = jax.jit(lambda x: model.apply({"params": params}, x, train=False))
        curves = accuracies(apply, map(real, batches), metadata["margin"])
        sizes = {k: sum(leaf.size for leaf in jax.tree.leaves(v)) for k, v in params.items()}
        legend = {f"{k} ({sizes[k]:,} parameters)": 100 * v for k, v in curves.items()}
        distances = np.arange(metadata["margin"] + 1)
        title = f"Accuracy, trained on shifts up to {metadata['shift']}"
        chart = LinePlot(title, distances, legend, "pixels moved", "accuracy / %")
        image = real(batches[0])["inputs"][:1]
        images = np.concatenate([shift(image, d, d) for d in distances])
        pixels, units = stored_pixels(images, metadata)
        samples = ImageGrid(
            "A test image, moved by so many pixels", pixels, tuple(map(str, distances)), **units
        )
        return {
            "shifts": Panels("What shared weights are for", (chart, samples)),
            "accuracies": Text("Accuracy on moved test images", table(curves)),
        }


def shift(images: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Images [B, H, W, C] shifted down and to the right; their black margins must be as wide."""
    return np.roll(images, (rows, columns), axis=(1, 2))


def accuracies(
    apply: Callable[[np.ndarray], dict[str, jax.Array]], batches: Iterable[dict], margin: int
) -> dict[str, np.ndarray]:
    """The accuracy of each network, [margin + 1], by the shift in pixels.

    A shift by d is by d along one or both axes; accuracies are means of the eight directions.
    """
    directions = [step for step in itertools.product((-1, 0, 1), repeat=2) if any(step)]
    correct, total = {}, 0
    for batch in batches:
        images, labels = batch["inputs"], batch["targets"]
        total += len(labels) * len(directions)
        for d in range(margin + 1):
            for row, column in directions:
                for name, logits in apply(shift(images, d * row, d * column)).items():
                    counts = correct.setdefault(name, np.zeros(margin + 1))
                    counts[d] += np.sum(np.asarray(logits).argmax(-1) == labels)
    return {name: counts / total for name, counts in correct.items()}


def table(curves: dict[str, np.ndarray]) -> str:
    """A line for each distance, a column for each network."""
    lines = ["pixels moved" + "".join(f"{name:>9}" for name in curves)]
    for d, row in enumerate(zip(*curves.values(), strict=True)):
        lines.append(f"{d:>12}" + "".join(f"{value:>9.3f}" for value in row))
    return "\n".join(lines)


_SHIFT = 2  # separates the random numbers of shifts from those of the epoch's order


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShiftedImages(DerivedImages):
    """Any set of labelled images (`nets.data.images.Images`) with a margin of black pixels.

    Batches hold "inputs" [B, H + 2 margin, W + 2 margin, C] float32, black 0 and white 1, and
    "targets" [B] int32; those of an evaluation also "mask" [B] float32. Training images are shifted
    by whole pixels, at random in every step; evaluation images are centred.

    Attributes:
        margin: black pixels on each side.
        shift: maximum shift of training images along each axis, in pixels.
    """

    margin: int = 6
    shift: int = 2

    def __post_init__(self) -> None:
        if not 0 <= self.shift <= self.margin:
            raise UserError(f"must be from 0 to margin={self.margin}, got {self.shift}.", "shift")
        super().__post_init__()

    def train(self, seed: int) -> Batches:
        images = self.images().train(seed)

        def batch(i: int) -> dict[str, np.ndarray]:
            arrays, rng = images[i], np.random.default_rng((seed, i, _SHIFT))
            shifted, _ = pad_crop(self._framed(arrays["inputs"]), rng, self.shift)
            return arrays | {"inputs": shifted}

        return Batches(batch)

    def evaluate(self, split: str) -> Batches:
        def framed(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return batch | {"inputs": self._framed(batch["inputs"])}

        return self.images().evaluate(split).map(framed)

    def spec(self) -> Spec:
        arrays, metadata = self.images().spec()
        (rows, height, width, channels), dtype = arrays["inputs"]
        around = 2 * self.margin
        framed = (rows, height + around, width + around, channels), dtype
        return Spec(arrays | {"inputs": framed}, metadata)

    def metadata(self) -> dict[str, Any]:
        """The metadata of the images, and margin and shift."""
        return super().metadata() | {"margin": self.margin, "shift": self.shift}

    def images(self, **fixed: Any) -> Images:
        return super().images(normalise="unit", shift=0.0, **fixed)

    def _framed(self, images: np.ndarray) -> np.ndarray:
        sides = (self.margin, self.margin)
        return np.pad(images, ((0, 0), sides, sides, (0, 0)))
