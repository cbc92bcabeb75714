"""Figures of a classification of sounds: the worst mistakes, and the classes of one sound."""

from collections.abc import Sequence

import numpy as np

from nets.report.bar_chart import BarChart
from nets.report.figures import Figure, Panels
from nets.report.sound import Sound
from nets.tasks.enhance_figures import spectrogram
from nets.tasks.metrics import Rows
from nets.tasks.task import Prediction

_MISTAKES = 6


def mistakes(
    rows: Rows, batches: Sequence[dict], names: Sequence[str], rate: int
) -> dict[str, Figure]:
    """The sounds that are most surely taken for another class; the first can be heard."""
    target, predicted, penalty = (
        np.array(rows.values[k]) for k in ("target", "prediction", "penalty")
    )
    wrong = np.flatnonzero(target != predicted)
    wrong = wrong[np.argsort(-penalty[wrong], kind="stable")][:_MISTAKES]
    if not len(wrong):
        return {}
    size, panels, figures = len(batches[0]["mask"]), [], {}
    for i in wrong.tolist():
        batch = batches[i // size]
        sound = batch["inputs"][i % size, : batch["lengths"][i % size]]
        title = f"{names[target[i]]} taken for {names[predicted[i]]}"
        panels.append(spectrogram(title, sound, rate))
        figures.setdefault("worst_mistake", Sound(title, sound, rate))
    return figures | {
        "mistakes": Panels("The worst mistakes", tuple(panels), columns=min(3, len(panels)))
    }


def prediction(
    sound: np.ndarray, rate: int, names: Sequence[str], shares: np.ndarray
) -> Prediction:
    """The five best classes of a sound [N], from their probabilities [K]."""
    best = np.argsort(-shares, kind="stable")[:5].tolist()
    top = [{"class": names[k], "id": k, "score": float(shares[k])} for k in best]
    panels = (
        spectrogram("The sound", sound, rate),
        BarChart(
            "Best classes", tuple(names[k] for k in best), shares[best], "probability", limit=1.0
        ),
    )
    return Prediction(
        "  ".join(f"{names[k]} {shares[k]:.3f}" for k in best),
        {"score": "probability", "top": top, "seconds": len(sound) / rate},
        Panels(f"Best class: {names[best[0]]}", panels),
    )
