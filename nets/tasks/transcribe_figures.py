"""Figures of a transcription: examples as text, and what is written when."""

from collections.abc import Sequence

import numpy as np

from nets.report.figures import Figure, Text
from nets.report.sound import SoundAndCurves
from nets.tasks.enhance_figures import spectrogram
from nets.tasks.metrics import Rows
from nets.tasks.task import Prediction

_EXAMPLES = 12
_ALTERNATIVES = 3


def to_text(symbols: Sequence[int], names: Sequence[str]) -> str:
    """Symbols from 1, up to the first 0, by their names."""
    words = [names[k - 1] for k in np.asarray(symbols).tolist() if k > 0]
    return ("" if max(map(len, names)) == 1 else " ").join(words)


def examples(rows: Rows, names: Sequence[str]) -> dict[str, Figure]:
    """Some sounds, those with mistakes first: what was said and what is read."""
    pairs = [
        (to_text(target, names), to_text(decoded, names))
        for target, decoded in zip(rows.values["target"], rows.values["decoded"], strict=True)
    ]
    wrong = [pair for pair in pairs if pair[0] != pair[1]]
    right = [pair for pair in pairs if pair[0] == pair[1]]
    chosen = wrong[:: max(1, 2 * len(wrong) // _EXAMPLES)][: _EXAMPLES // 2]
    chosen += right[:: max(1, 2 * len(right) // _EXAMPLES)][: _EXAMPLES // 2]
    width = max(4, *(len(said) for said, _ in chosen)) if chosen else 4
    lines = [f"{'said':{width}}  read"]
    lines += [
        f"{said:{width}}  {read}{'' if said == read else '   <- wrong'}" for said, read in chosen
    ]
    title = f"{len(wrong)} of {len(pairs)} sounds with a mistake"
    return {"transcriptions": Text(title, "\n".join(lines))}


def over_time(
    sound: np.ndarray, rate: int, logits: np.ndarray, names: Sequence[str], times: np.ndarray
) -> dict[str, Figure]:
    """The spectrogram of a sound [N], and below it the probabilities of its symbols over time.

    Args:
        logits: [T, K].
        names: of the symbols from 1.
        times: [T] in seconds.
    """
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    likely = [k for k in range(1, shares.shape[1]) if shares[:, k].max() > 0.3]
    curves = {names[k - 1]: shares[:, k] for k in likely} | {"blank": shares[:, 0]}
    title = "A sound, and the probability of each word over time"
    drawn = spectrogram("", sound, rate)
    return {"over_time": SoundAndCurves(title, drawn, times, curves, "probability")}


def prediction(
    sound: np.ndarray,
    rate: int,
    names: Sequence[str],
    written: tuple[np.ndarray, np.ndarray],
    beam: tuple[np.ndarray, np.ndarray],
) -> Prediction:
    """The transcription of a sound [N].

    Args:
        names: of the symbols from 1.
        written: symbols [U], then 0, and the time of each in seconds.
        beam: prefixes [W, U], best first, and their log-probabilities [W].
    """
    symbols, seconds = (a[written[0] > 0] for a in written)
    text = to_text(symbols, names)
    marks = tuple((float(t), names[k - 1]) for k, t in zip(symbols.tolist(), seconds, strict=True))
    panel = spectrogram(f"Read: {text}" if text else "Nothing is read", sound, rate)
    panel = type(panel)(panel.title, panel.power, panel.seconds, rate, marks=marks)
    alternatives = [
        {"text": to_text(row, names), "probability": float(np.exp(score))}
        for row, score in zip(*(a[:_ALTERNATIVES] for a in beam), strict=True)
    ]
    words = [{"word": name, "seconds": round(time, 3)} for time, name in marks]
    return Prediction(
        text or "(nothing)",
        {"text": text, "words": words, "beam": alternatives, "seconds": len(sound) / rate},
        panel,
    )
