"""Figures of questions about stories: errors by task, and the sentences of each hop."""

from collections.abc import Sequence

import numpy as np

from nets.report.figures import Figure, Panels, Text
from nets.report.heatmap import Heatmap
from nets.tasks.task import Prediction

_SENTENCES = 12  # of a story in a picture, at most


def table(errors: dict[int, float], names: Sequence[str], failed: float) -> dict[str, Figure]:
    """The errors of tasks by number, as text.

    Args:
        errors: in the order of the names.
        names: what the tasks are about.
        failed: error above which a task is failed.
    """
    lines = [
        f"{k:4}  {name:24} {100 * error:6.1f} %{'  failed' if error > failed else ''}"
        for (k, error), name in zip(errors.items(), names, strict=True)
    ]
    mean = np.mean([*errors.values()])
    count = sum(error > failed for error in errors.values())
    lines.append(f"{'mean':30} {100 * mean:6.1f} %  {count} of {len(errors)} failed")
    return {"tasks": Text("Wrong answers by task", "\n".join(lines))}


def hops(
    rows: Sequence[tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]],
    vocabulary: Sequence[str],
    linear: bool,
) -> dict[str, Figure]:
    """For each question its last sentences, and their weights in every hop.

    Args:
        rows: a batch of one row, values of answers [1, V] and weights [1, K, S] of each.
        vocabulary: the words.
        linear: whether they are scores, before there is a softmax.
    """
    panels = []
    for row, answers, weights in rows:
        sentences = [_text(words, vocabulary) for words in row["inputs"][0] if words.any()]
        answer, right = vocabulary[answers[0].argmax()], vocabulary[row["targets"][0]]
        title = f"{_text(row['question'][0], vocabulary)}? {answer}"
        title += "" if answer == right else f" (not {right})"
        panels.append(_panel(title, sentences, weights[0]))
    title = "Where each hop looks"
    if linear:
        title += "; in the linear start: scores, cut at 0 and 1"
    elif any(_nowhere(hop) for _, _, weights in rows for hop in weights[0]):
        title += "; a hop without a bright sentence: nowhere"
    return {"hops": Panels(title, tuple(panels), columns=2)}


def prediction(
    story: Sequence[str],
    question: str,
    answers: np.ndarray,
    weights: np.ndarray,
    vocabulary: Sequence[str],
    measure: str,
    linear: bool,
) -> Prediction:
    """The best of the answers [1, V], and the sentences of most weight [1, K, S] by hop.

    `measure` says whether the answers' values are probabilities or scores; `linear` as of `hops`.
    """
    best = int(answers[0].argmax())
    answer, value = vocabulary[best], float(answers[0, best])
    looked = weights[0, :, : len(story)]
    values = {
        "answer": answer,
        measure: value,
        "hops": [None if not linear and _nowhere(hop) else story[hop.argmax()] for hop in looked],
    }
    figure = _panel(f"{question}? {answer}", story, looked)
    return Prediction(f"{question}? {answer} ({measure} {value:.2f})", values, figure)


def _nowhere(hop: np.ndarray) -> bool:
    """Whether more of a hop [S] is on no sentence than on any one."""
    return 1 - hop.sum() > hop.max()


def _panel(title: str, sentences: Sequence[str], weights: np.ndarray) -> Heatmap:
    first = max(0, len(sentences) - _SENTENCES)
    return Heatmap(
        title,
        np.clip(weights[:, first : len(sentences)].T, 0, 1),
        tuple(sentences[first:]),
        tuple(str(k + 1) for k in range(len(weights))),
        "",
        "hop",
        fixed_range=True,
        unit="weight",
        square=False,
    )


def _text(words: np.ndarray, vocabulary: Sequence[str]) -> str:
    return " ".join(vocabulary[word] for word in words if word)
