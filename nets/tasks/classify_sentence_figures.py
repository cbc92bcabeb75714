"""Figures of a classification of sentences: confusion, mistakes, the words that decided."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nets.report.bar_chart import BarChart
from nets.report.figures import Figure, Text
from nets.report.heatmap import Heatmap
from nets.report.highlighted_text import HighlightedText
from nets.tasks.task import Prediction

_BEST = 5  # classes of a prediction
_SENTENCES = 12
_MISTAKES = 40
_COLUMNS = 80  # of a line of a highlighted text
_CONFUSED = 20  # classes of a confusion matrix


def answers(rows: dict[str, list[np.ndarray]], metadata: dict[str, Any]) -> dict[str, Figure]:
    """The confusion matrix, the surest mistakes, and which words some sentences were judged by.

    Args:
        rows: "target", "prediction", "margin", "words" [T] and perhaps "weights" [T], the share of
            each word in the answer, of every sentence.
        metadata: that of the data.
    """
    names, vocabulary = metadata["class_names"], metadata["vocabulary"]
    target, prediction, margin = (
        np.array(rows[name]) for name in ("target", "prediction", "margin")
    )
    wrong = target != prediction
    confusion = np.zeros((len(names), len(names)), int)
    np.add.at(confusion, (target, prediction), 1)
    frequent = np.sort(np.argsort(-confusion.sum(1), kind="stable")[:_CONFUSED])
    title = f"Confusion matrix: {wrong.sum()} of {len(wrong)} wrong"
    if len(names) > len(frequent):
        title += f"; the {len(frequent)} most frequent of {len(names)} classes"
    labels = tuple(names[k] for k in frequent)
    figures: dict[str, Figure] = {
        "confusion": Heatmap(
            title, confusion[np.ix_(frequent, frequent)], labels, labels,
            "true class", "predicted class", unit="sentences",
        )
    }  # fmt: skip
    order = np.argsort(-margin, kind="stable")
    lines = [
        f"{names[prediction[i]]} (not {names[target[i]]}): "
        + " ".join(_words(rows["words"][i], vocabulary))
        for i in order[wrong[order]][:_MISTAKES]
    ]
    figures["mistakes"] = Text("The surest mistakes", "\n".join(lines))
    if "weights" in rows:
        fitting = [i for i in order if 6 <= (rows["words"][i] > 0).sum() <= 30]
        step = max(1, len(fitting) // _SENTENCES)
        drawn = [
            (
                f"{names[prediction[i]]}:" if not wrong[i]
                else f"{names[prediction[i]]} (not {names[target[i]]}):",
                _words(rows["words"][i], vocabulary),
                rows["weights"][i],
            )
            for i in fitting[::step][:_SENTENCES]
        ]  # fmt: skip
        figures["words"] = _highlighted("The words that decided, from the surest answer on", drawn)
    return figures


def prediction(
    names: Sequence[str],
    words: Sequence[str],
    shares: np.ndarray,
    weights: np.ndarray | None,
) -> Prediction:
    """The best classes of a sentence, and the words that decided, if their weights are known.

    Args:
        names: of the classes.
        words: of the sentence.
        shares: [K], probabilities of the classes.
        weights: [T], the share of each word in the answer.
    """
    order = np.argsort(-shares, kind="stable")[:_BEST]
    best = [(names[k], float(shares[k])) for k in order]
    values: dict[str, Any] = {
        "words": list(words),
        "top": [{"class": name, "probability": share} for name, share in best],
    }
    chart = BarChart(
        " ".join(words),
        tuple(name for name, _ in best),
        np.array([share for _, share in best]),
        "probability",
        limit=1.0,
    )
    files = {}
    if weights is not None:
        values["weights"] = [float(weight) for weight in weights]
        files["words"] = _highlighted("The words that decided", [("", words, weights)])
    summary = "  ".join(f"{name} {share:.3f}" for name, share in best)
    return Prediction(summary, values, chart, files)


def _words(ids: np.ndarray, vocabulary: Sequence[str]) -> list[str]:
    return [vocabulary[k] for k in ids if k > 0]


def _highlighted(
    title: str, sentences: Sequence[tuple[str, Sequence[str], np.ndarray]]
) -> HighlightedText:
    """Sentences, one per line, each word as bright as its weight in terms of the largest.

    Args:
        title: of the figure.
        sentences: what stands before each, its words, and their weights.
    """
    text, signal, column = "", [], 0
    for before, words, weights in sentences:
        largest = max(float(np.max(weights[: len(words)], initial=0)), 1e-12)
        shares = (weights / largest).tolist()
        for part, share in [(before, 0.0)] * bool(before) + list(zip(words, shares, strict=False)):
            if column + len(part) + 2 > _COLUMNS:
                text, column = f"{text}\n    ", 4
                signal += [0.0] * 5
            text, column = f"{text}{part} ", column + len(part) + 1
            signal += [share] * len(part) + [0.0]
        text, column = f"{text}\n", 0
        signal.append(0.0)
    signals, captions = np.array([signal]), ("share of each word; 1 is the largest of a sentence",)
    drawn = {"label": "share", "signed": False, "line_ends": False}
    return HighlightedText(title, text, signals, captions, **drawn)
