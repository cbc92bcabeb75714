"""Figures of answers: where the model looks, what it answers, the accuracy of each type."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nets.report.bar_chart import BarChart
from nets.report.captioned_rows import CaptionedRows
from nets.report.class_scores import ClassScores
from nets.report.figures import Figure, Text
from nets.tasks.caption_figures import canvas, overlay
from nets.tasks.caption_metrics import grid
from nets.tasks.task import Prediction, moved_back

_EXAMPLES = 14  # questions that are drawn
_MISTAKES = 40
_BEST = 5  # answers of a prediction


def answers(
    rows: dict[str, np.ndarray],
    answered: np.ndarray,
    weights: np.ndarray | None,
    types: dict[str, float],
    metadata: dict[str, Any],
    tokenizer: Any,
) -> dict[str, Figure]:
    """The accuracy of each type, mistakes, and the attention to some questions of each type.

    Args:
        rows: of a batch (`nets.tasks.answer.AnswerQuestion`), N of them.
        answered: [N].
        weights: attention [N, looks, cells]. None means that there is none.
        types: accuracy by type.
        metadata: that of the data; "class_names" are the answers.
        tokenizer: of questions.
    """
    names, truth = metadata["class_names"], rows["targets"]
    wrong = answered != truth

    def verdict(i: int) -> str:
        answer = names[answered[i]]
        true = names[truth[i]] if truth[i] >= 0 else "an unknown answer"
        return answer if not wrong[i] else f"{answer} (wrong; correct: {true})"

    def question(i: int) -> str:
        return f"{tokenizer.decode(rows['questions'][i])}?"

    labels = tuple(name.removeprefix("accuracy_") for name in types)
    lines = [f"{question(i)} {verdict(i)}" for i in np.flatnonzero(wrong)[:_MISTAKES]]
    figures: dict[str, Figure] = {
        "types": BarChart(
            "Accuracy by the type of the question", labels, np.array([*types.values()]),
            "accuracy", limit=1.0,
        ),
        "mistakes": Text(f"{wrong.sum()} of {len(wrong)} answers are wrong", "\n".join(lines)),
    }  # fmt: skip
    shown = _spread(rows["types"], len(metadata["question_types"]))
    looks = 0 if weights is None else weights.shape[1]
    panels = np.stack(
        [_panels(rows["inputs"][i], None if weights is None else weights[i]) for i in shown]
    )
    captions = tuple(f"{question(i)}\n{verdict(i)}" for i in shown)
    title = "Questions and answers"
    if looks:
        title = "Where each look falls: the image is lit where it attends"
    name = "attention" if looks else "examples"
    figures[name] = CaptionedRows(title, panels, _headings(looks), captions)
    return figures


def prediction(
    metadata: dict[str, Any],
    source: dict[str, Any],
    image: np.ndarray,
    shares: np.ndarray,
    weights: np.ndarray | None,
) -> Prediction:
    """The best answers to a question, and where the model has looked.

    Args:
        metadata: that of the data.
        source: of an image and a question (`nets.data.question_words.with_question`).
        image: [H, W, 3] uint8, as the model has read it.
        shares: [K], probabilities of the answers.
        weights: [looks, cells]. None means that there is no attention.
    """
    order = np.argsort(-shares, kind="stable")[:_BEST].tolist()
    best = [(metadata["class_names"][k], float(shares[k])) for k in order]
    read = moved_back(np.stack([[0, 0], source["size"][::-1]]), source["matrix"]).reshape(-1)
    names, scores = zip(*best, strict=True)
    question = f"{' '.join(source['words'])}?"
    chart = ClassScores(
        question, source["image"], tuple(read.tolist()), names, scores, "probability"
    )
    values: dict[str, Any] = {
        "question": question,
        "answer": names[0],
        "top": [{"answer": name, "probability": share} for name, share in best],
    }
    summary = "  ".join(f"{name} {share:.3f}" for name, share in best)
    if unknown := source["unknown"].tolist():
        values["unknown"] = unknown
        summary += f"  (unknown words: {', '.join(unknown)})"
    if weights is None:
        return Prediction(summary, values, chart)
    panels = _panels(image, weights)[None]
    caption = (f"{question}\n{names[0]} {scores[0]:.3f}",)
    figure = CaptionedRows("Where each look falls", panels, _headings(len(weights)), caption)
    return Prediction(summary, values, chart, {"attention": figure})


def _panels(image: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """The image, and lit as each look attends, [1 + looks, H, W, 3]."""
    panels = [canvas(image)]
    for each in () if weights is None else weights:
        cells = grid(len(each), *image.shape[:2])
        panels.append(overlay(image, each.reshape(cells), None))
    return np.stack(panels)


def _headings(looks: int) -> tuple[str, ...]:
    return ("image", *(f"look {i + 1}" for i in range(looks)))


def _spread(types: np.ndarray, count: int) -> Sequence[int]:
    """The first questions of each type, the types one after the other."""
    each = max(1, _EXAMPLES // count)
    return [int(i) for k in range(count) for i in np.flatnonzero(types == k)[:each]][:_EXAMPLES]
