"""Figures of a sequence task: answers beside the questions."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from nets.report.figures import Figure, Text, stored_pixels
from nets.report.heatmap import Heatmap
from nets.report.image_grid import ImageGrid
from nets.report.line_plot import LinePlot

_COLUMNS = 40  # steps of a picture that shows them one by one
_READ = 2000  # sequences, at most, that a picture of a whole split is made from


def real(batch: dict) -> dict[str, np.ndarray]:
    """The batch without the rows that only fill it."""
    mask = np.asarray(batch["mask"])
    examples = mask.reshape(len(mask), -1).any(1)
    return {k: np.asarray(a)[examples] for k, a in batch.items()}


def prediction(targets: np.ndarray, answers: np.ndarray, groups: int = 20) -> dict[str, Figure]:
    """Numbers answered [B] over those that were right [B], in groups of like right answers.

    There are ten rows in a group, or more.
    """
    groups = max(1, min(groups, len(targets) // 10))
    order = np.array_split(np.argsort(targets, kind="stable"), groups)
    right = np.array([targets[part].mean() for part in order])
    spread = np.array([np.quantile(answers[part], (0.1, 0.5, 0.9)) for part in order]).T
    names = "10th percentile", "median", "90th percentile"
    curves = dict(zip(names, spread, strict=True)) | {"target": right}
    error = np.sqrt(np.mean((targets - answers) ** 2))
    title = f"Predictions for {len(targets)} examples (root mean squared error {error:.2g})"
    return {"answers": LinePlot(title, right, curves, "target", "prediction")}


def generated(
    rows: dict[str, np.ndarray], outputs: np.ndarray, metadata: dict
) -> dict[str, Figure]:
    """For each input symbol the output [T, D], and the mean of all its targets."""
    symbols, first = np.unique(rows["inputs"], return_index=True)
    means = [rows["targets"][rows["inputs"] == symbol].mean(0) for symbol in symbols]
    pairs = (pictures(steps, metadata) for steps in (outputs[first], np.stack(means)))
    (left, right), units = stored_pixels(np.stack([*pairs]), metadata)  # [K, H, W, C] each
    gap = np.full_like(left[:, :, :1], units["limits"][1])
    images = np.concatenate([left, gap, right], axis=2)
    captions = tuple(f"class {metadata['class_names'][symbol]}" for symbol in symbols)
    title = "Left: generated from the class. Right: mean image of the class"
    return {"generated": ImageGrid(title, images, captions, **units)}


def error_by_step(rows: dict[str, np.ndarray], outputs: np.ndarray) -> dict[str, Figure]:
    """Mean squared error [T] of outputs [B, T, ...], over the sequences in which a step counts."""
    squared = ((outputs - rows["targets"]) ** 2).reshape(*outputs.shape[:2], -1).mean(-1)
    counts = np.broadcast_to(rows["mask"].reshape(len(outputs), -1) > 0, squared.shape)
    number = counts.sum(0)
    error = np.where(number, (squared * counts).sum(0) / np.maximum(number, 1), np.nan)
    title = f"Mean squared error at each step, {len(outputs)} sequences"
    steps = np.arange(1, outputs.shape[1] + 1)
    return {"error": LinePlot(title, steps, {"error": error}, "step", "mean squared error")}


def pictures(steps: np.ndarray, metadata: dict) -> np.ndarray:
    """Images [N, H, W, C] of sequences [N, T, D] of their pixels or rows."""
    if metadata["order"] is not None:
        steps = steps[:, np.argsort(metadata["order"])]
    return steps.reshape(-1, *metadata["shape"])


def reading(
    batches: Iterable[dict], answers: Callable[[np.ndarray], Any], metadata: dict
) -> dict[str, Figure]:
    """Accuracy of the outputs [B, T, K] after each step; mistakes; confusion."""
    inputs, targets, chosen, counted = [], [], [], 0
    for rows in batches:
        inputs.append(rows["inputs"])
        targets.append(rows["targets"])
        chosen.append(np.asarray(answers(rows["inputs"])).argmax(-1))
        counted += len(targets[-1])
        if counted >= _READ:
            break
    inputs, targets, chosen = map(np.concatenate, (inputs, targets, chosen))
    names = metadata["class_names"]
    accuracy = 100 * (chosen == targets[:, None]).mean(0)
    last = chosen[:, -1]
    wrong = np.flatnonzero(last != targets)
    confusion = np.zeros((len(names), len(names)), int)
    np.add.at(confusion, (targets, last), 1)
    figures: dict[str, Figure] = {
        "reading": LinePlot(
            "How soon it knows: accuracy of an answer after each step",
            np.arange(1, len(accuracy) + 1), {"accuracy": accuracy}, "steps read", "accuracy / %",
        ),
        "confusion": Heatmap(
            f"Confusion matrix: {len(wrong)} of {len(targets)} wrong", confusion, tuple(names),
            tuple(names), "true class", "predicted class", unit="sequences",
        ),
    }  # fmt: skip
    if len(wrong):
        selected = wrong[:24]
        captions = tuple(f"{names[targets[i]]} read as {names[last[i]]}" for i in selected)
        images, units = stored_pixels(pictures(inputs[selected], metadata), metadata)
        figures["mistakes"] = ImageGrid("Mistakes", images, captions, **units)
    return figures


def stepwise(
    rows: dict[str, np.ndarray],
    shares: np.ndarray,
    symbols: Sequence[str],
    target_symbols: Sequence[str],
) -> dict[str, Figure]:
    """Probability [B, T, K] of the right class at every step, and sequences with their answers."""
    targets, answers = rows["targets"], shares.argmax(-1)
    right = np.take_along_axis(shares, targets[..., None], -1)[..., 0]  # [B, T]
    steps = targets.shape[1]
    figures: dict[str, Figure] = {
        "probability": LinePlot(
            f"Probability of the right answer, mean of {len(right)} sequences",
            np.arange(1, steps + 1), {"right answer": right.mean(0)}, "step", "probability",
        )
    }  # fmt: skip
    selected, last = right[:12], slice(max(0, steps - _COLUMNS), steps)
    figures["last_steps"] = Heatmap(
        f"Probability of the right answer, last {len(range(steps)[last])} steps of {len(selected)} "
        "sequences",
        selected[:, last],
        tuple(f"sequence {i + 1}" for i in range(len(selected))),
        tuple(symbols[i] for i in rows["inputs"][0, last]),
        "",
        "what sequence 1 shows",
        fixed_range=True,
        unit="probability",
    )
    if all(len(symbol) == 1 for symbol in (*symbols, *target_symbols)):
        text = _aligned(rows, answers, symbols, target_symbols)
        figures["answers"] = Text("Sequences and answers", text)
    return figures


def _aligned(
    rows: dict[str, np.ndarray],
    answers: np.ndarray,
    input_vocabulary: Sequence[str],
    target_vocabulary: Sequence[str],
    most: int = 120,
) -> str:
    """Sequences, and at the steps that count targets and answers, in lines under one another."""
    lines, last = [], slice(-most, None)
    counts = np.broadcast_to(rows["mask"].reshape(len(answers), -1) > 0, answers.shape)
    for x, t, a, c in itertools.islice(
        zip(rows["inputs"], rows["targets"], answers, counts, strict=True), 5
    ):
        steps = list(zip(x, t, a, c, strict=True))[last]
        lines += [
            "sequence  " + "".join(input_vocabulary[i] for i, _, _, _ in steps),
            "right     " + "".join(target_vocabulary[i] if c else " " for _, i, _, c in steps),
            "answer    " + "".join(target_vocabulary[i] if c else " " for _, _, i, c in steps),
            "wrong     " + "".join("^" if c and i != j else " " for _, i, j, c in steps),
        ]
    return "\n".join(line.rstrip() for line in lines)
