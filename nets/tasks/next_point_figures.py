"""Figures of strokes: drawings of a model, where it expects the pen, and its window over a text."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nets.layers import mixture_density
from nets.report.figures import Figure, Panels
from nets.report.heatmap import Heatmap
from nets.report.strokes import StrokeDensity, StrokeGrid, lines
from nets.tasks.sequence_figures import real
from nets.tasks.task import Batch, Trained

_GIVEN = 0.4  # share of a drawing that a primed one begins with
_CELLS = 240  # of the longer side of the map of a density


def by_bias(
    title: str, drawn: Any, biases: np.ndarray, columns: int, names: Sequence[str] = ()
) -> StrokeGrid:
    """Drawings of a model (`nets.tasks.next_point.Drawn`), a line for each bias."""
    names = [f"{name}, " for name in names] or [""] * len(biases)
    captions = tuple(f"{name}bias {bias:g}" for name, bias in zip(names, biases, strict=True))
    return StrokeGrid(title, _drawings(drawn), captions, columns)


def _drawings(drawn: Any) -> tuple[np.ndarray, ...]:
    return tuple(p[:n] for p, n in zip(drawn.points, drawn.lengths, strict=True))


def figures(task: Any, trained: Trained, batch: Batch, final: bool) -> dict[str, Figure]:
    """Samples of a `nets.tasks.next_point.NextPoint`; at the end of a run all else too."""
    batch = real(batch)
    rows = min(len(batch["inputs"]), 4 if trained.model.window else 8)
    text = batch.get("text", np.zeros((len(batch["inputs"]), 1), np.int32))[:rows]
    names = tuple(map(trained.tokenizer.decode, text)) if trained.model.window else ()
    middle = np.full(rows, 0.5, np.float32)
    drawn = jax.device_get(task.draw(trained, text, middle, task.length))
    columns = 1 if trained.model.window else 4
    title = "Written by the model, bias 0.5" if names else "Drawn by the model, bias 0.5"
    drawing: dict[str, Figure] = {"samples": StrokeGrid(title, _drawings(drawn), names, columns)}
    if not final:
        return drawing
    drawing["biases"] = _biases(task, trained, text)
    drawing["primed"] = _primed(task, trained, batch, rows, columns)
    drawing["density"] = _density(trained, batch)
    if trained.model.window:
        drawing["window"] = _window(trained, batch)
    return drawing


def _biases(task: Any, trained: Trained, text: np.ndarray) -> Figure:
    biases = np.repeat(np.array(task.biases, np.float32), task.samples)
    text = np.resize(text[: task.samples], (len(biases), text.shape[1]))
    drawn = jax.device_get(task.draw(trained, text, biases, task.length))
    names = [trained.tokenizer.decode(ids) for ids in text] if trained.model.window else []
    title = "The larger the bias, the more regular"
    return by_bias(title, drawn, biases, task.samples, names)


def _primed(task: Any, trained: Trained, batch: Batch, rows: int, columns: int) -> Figure:
    """Drawings that begin as one of the test; a text begins with the other's text too."""
    lengths = batch["mask"].sum(1).astype(int)
    if trained.model.window:
        pairs = [[*_ids(a), *_space(trained), *_ids(b)] for a, b in _pairs(batch["text"], rows)]
        width = 1 + max(map(len, pairs))
        text = np.array([[*ids, *[0] * (width - len(ids))] for ids in pairs], np.int32)
        names, given = tuple(map(trained.tokenizer.decode, text)), lengths[:rows]
    else:
        text, names = np.zeros((rows, 1), np.int32), ()
        given = np.maximum(1, (_GIVEN * lengths[:rows]).astype(int))
    biases = np.full(rows, 0.5, np.float32)
    length = task.length + int(given.max())
    drawn = task.draw(trained, text, biases, length, batch["targets"][:rows], given)
    drawn = jax.device_get(drawn)
    title = "Grey was given, black is the model's: it goes on in the same hand"
    title = title if trained.model.window else "Grey was given, black is the model's"
    return StrokeGrid(title, _drawings(drawn), names, columns, tuple(map(int, given)))


def _pairs(text: np.ndarray, rows: int) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(text[i], text[(i + 1) % len(text)]) for i in range(rows)]


def _ids(text: np.ndarray) -> list[int]:
    return [int(i) for i in text if i]


def _space(trained: Trained) -> list[int]:
    vocabulary = trained.tokenizer.vocabulary
    return [vocabulary.index(" ")] if " " in vocabulary else []


def _apply(trained: Trained, batch: Batch) -> tuple[Any, dict[str, jax.Array]]:
    """The distribution of every point of the first drawing, and the stages."""
    apply = jax.jit(functools.partial(trained.model.apply, train=False, stages=True))
    text = batch["text"][:1] if "text" in batch else None
    outputs, _, stages = apply({"params": trained.params}, batch["inputs"][:1], text)
    return mixture_density.mixture(outputs[0], batch["targets"].shape[-1] - 2), stages


def _density(trained: Trained, batch: Batch) -> Figure:
    """The densities of all next points of a drawing, in one map (Graves 2013, figure 10)."""
    points = batch["targets"][0][batch["mask"][0] > 0]
    parameters, _ = _apply(trained, batch)
    parameters = jax.tree.map(lambda a: a[: len(points)], parameters)
    places = np.concatenate(lines(points))
    before = np.concatenate([np.zeros((1, 2)), places[:-1]])
    margin = 0.08 * np.ptp(places, axis=0).max() + 1e-3
    (left, top), (right, bottom) = places.min(0) - margin, places.max(0) + margin
    cell = max((right - left) / _CELLS, (bottom - top) / _CELLS)
    columns = max(2, int((right - left) / cell))
    grid = np.stack(
        np.meshgrid(
            np.linspace(left, right, columns),
            np.linspace(top, bottom, max(2, int((bottom - top) / cell))),
        ),
        axis=-1,
    )  # [R, C, 2]

    def one(inputs):
        parameters, origin = inputs
        same = jax.tree.map(lambda a: a[None, None], parameters)
        return jnp.exp(mixture_density.log_density(same, jnp.asarray(grid) - origin[None, None]))

    each = jax.jit(lambda *inputs: jax.lax.map(one, inputs))(parameters, jnp.asarray(before))
    each = np.asarray(each)
    each = each / np.maximum(each.sum((1, 2), keepdims=True), 1e-30)
    title = "Where the model expects each next point of a test drawing; the drawing in white"
    return StrokeDensity(title, each.sum(0), (left, right, top, bottom), points)


def _window(trained: Trained, batch: Batch) -> Figure:
    """The window over the characters of a text, point by point (Graves 2013, figure 12)."""
    points = int(batch["mask"][0].sum())
    ids = _ids(batch["text"][0])
    _, stages = _apply(trained, batch)
    phi = np.asarray(stages["window"])[0, :points, : len(ids)].T
    characters = tuple(trained.tokenizer.vocabulary[i].replace(" ", "␣") for i in ids)
    text = trained.tokenizer.decode(ids)
    heat = Heatmap(
        "Window over the characters (rows) at each point (columns)", phi, characters,
        tuple(map(str, range(points))), "character", "point", unit="weight",
    )  # fmt: skip
    grid = StrokeGrid(f"The drawing: {text}", (batch["targets"][0][:points],), (), 1)
    return Panels("What is read while a text is written", (heat, grid), columns=1)
