"""Figures of a tagging run: which tags are confused, sentences with mistakes; the tags of one."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from nets.report.figures import Figure, Text
from nets.report.heatmap import Heatmap
from nets.tasks.task import Prediction

_CONFUSED = 20  # tags of a confusion matrix
_SENTENCES = 20


def mistakes(
    rows: dict[str, list[np.ndarray]], tags: Sequence[str], vocabulary: Sequence[str]
) -> dict[str, Figure]:
    """The confusion of the most frequent tags, and sentences with mistakes.

    Args:
        rows: "words", "target" and "prediction" [T] of every sentence, and its "length".
        tags: the names of tags.
        vocabulary: the words.
    """
    sentences = [
        tuple(rows[name][i][:length] for name in ("words", "target", "prediction"))
        for i, length in enumerate(rows["length"])
    ]
    target, prediction = (np.concatenate([s[k] for s in sentences]) for k in (1, 2))
    frequent = np.sort([k for k, _ in Counter(target.tolist()).most_common(_CONFUSED)])
    confusion = np.zeros((len(tags), len(tags)), int)
    np.add.at(confusion, (target, prediction), 1)
    names = tuple(tags[k] for k in frequent)
    wrong = int((target != prediction).sum())
    lines = []
    for words, true, predicted in sentences:
        if 4 <= len(words) <= 25 and (true != predicted).any() and len(lines) < _SENTENCES:
            lines.append(
                " ".join(
                    f"{vocabulary[word]}/{tags[p]}" + ("" if t == p else f"(not {tags[t]})")
                    for word, t, p in zip(words, true, predicted, strict=True)
                )
            )
    title = f"Confusion matrix: {wrong:,} of {len(target):,} words wrong"
    if len(tags) > len(frequent):
        title += f"; the {len(frequent)} most frequent of {len(tags)} tags"
    return {
        "confusion": Heatmap(
            title,
            confusion[np.ix_(frequent, frequent)],
            names,
            names,
            "true tag",
            "predicted tag",
            unit="words",
        ),
        "mistakes": Text("Sentences with mistakes: predicted tags (not the true one)",
                         "\n\n".join(lines)),
    }  # fmt: skip


def prediction(metadata: dict[str, Any], words: Sequence[str], shares: np.ndarray) -> Prediction:
    """The tags of a sentence, from their probabilities [T, K]."""
    tags, best = metadata["tags"], shares.argmax(-1)
    chosen = [tags[k] for k in best]
    used = np.flatnonzero(shares.max(0) >= 0.05)
    rows = [
        {"word": word, "tag": tag, "probability": float(row.max())}
        for word, tag, row in zip(words, chosen, shares, strict=True)
    ]
    return Prediction(
        " ".join(f"{word}/{tag}" for word, tag in zip(words, chosen, strict=True)),
        {"words": rows},
        Heatmap(
            "Probability of each tag (those above 0.05 somewhere)",
            shares[:, used],
            tuple(words),
            tuple(tags[k] for k in used),
            "word",
            "tag",
            fixed_range=True,
            unit="probability",
        ),
    )
