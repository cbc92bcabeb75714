"""Captions that a model wrote, and its attention at each word."""

from typing import Any

import numpy as np

from nets.report.figures import Figure, Text
from nets.report.image_grid import ImageGrid
from nets.tasks.task import Prediction

_COLUMNS = 6  # panels in a line
_SIDE = 192  # pixels of a panel's shorter side, about
_DIM = 0.35  # brightness where there is no attention


def captions(
    rows: dict[str, np.ndarray],
    decoded: np.ndarray,
    maps: np.ndarray | None,
    chosen: np.ndarray,
    same: np.ndarray,
    tokenizer: Any,
    examples: int = 3,
) -> dict[str, Figure]:
    """Decoded captions of some images, and the attention at each word.

    Args:
        rows: of a batch (`nets.tasks.caption.Caption`), N of them.
        decoded: symbols [N, U].
        maps: attention [N, U, h, w] to cells that an image is cut into; none where there is none.
        chosen: [N], the true caption that it is compared with.
        same: [N, U], where its words are those of that one.
        tokenizer: of captions.
        examples: number of images whose attention is drawn.
    """

    def text(ids: np.ndarray) -> str:
        return tokenizer.decode(ids) or "(nothing)"

    true, right = rows["targets"][np.arange(len(chosen)), chosen], same.all(1)
    lines = [
        text(decoded[i]) + ("" if right[i] else f"  (wrong; correct: {text(true[i])})")
        for i in np.argsort(right, kind="stable")[:12]
    ]
    title = f"Decoded captions: {np.sum(~right)} of {len(right)} wrong"
    figures: dict[str, Figure] = {"decoded": Text(title, "\n".join(lines))}
    if maps is None:
        return figures
    panels, labels = [], []
    for i in range(min(examples, len(chosen))):
        row = {k: a[i] for k, a in rows.items()}
        named = row["named"][chosen[i]] if "named" in row else np.full(len(decoded[i]), -1)
        images = [canvas(row["inputs"])]
        labels.append("(correct)" if right[i] else "(wrong)")
        for t in range(np.count_nonzero(decoded[i])):
            box = row["boxes"][named[t]] if named[t] >= 0 else None
            images.append(overlay(row["inputs"], maps[i, t], box))
            labels.append(tokenizer.vocabulary[decoded[i, t]])
        empty = -len(images) % _COLUMNS
        panels += images + [np.ones_like(images[0])] * empty
        labels += [""] * empty
    title = "Attention at each word (bright). The frame is the object that the word names"
    figures["attention"] = ImageGrid(title, np.stack(panels), tuple(labels), _COLUMNS)
    return figures


def prediction(
    image: np.ndarray, symbols: np.ndarray, maps: np.ndarray | None, score: float, tokenizer: Any
) -> Prediction:
    """The caption of one image, and the attention at each word.

    Args:
        image: [H, W, 3] uint8, as the model reads it.
        symbols: [U].
        maps: [U, h, w], as of `captions`.
        score: log-probability of the caption in nats.
        tokenizer: of captions.
    """
    text = tokenizer.decode(symbols) or "(nothing)"
    panels, labels, title = [canvas(image)], ["image"], text
    if maps is not None:
        count = np.count_nonzero(symbols)
        panels += [overlay(image, maps[t], None) for t in range(count)]
        labels += [tokenizer.vocabulary[k] for k in symbols[:count]]
        title = f"{text}. At each word the attention is bright"
    values = {"caption": text, "log_probability": score}
    columns = min(_COLUMNS, len(panels))
    grid = ImageGrid(title, np.stack(panels), tuple(labels), columns, limits=(0.0, 1.0))
    return Prediction(text, values, grid)


def canvas(image: np.ndarray) -> np.ndarray:
    """An image [H, W, 3] uint8 enlarged by a whole number, in 0 to 1."""
    times = max(1, round(_SIDE / min(image.shape[:2])))
    return np.repeat(np.repeat(image, times, 0), times, 1).astype(np.float32) / 255


def overlay(image: np.ndarray, weights: np.ndarray, box: np.ndarray | None) -> np.ndarray:
    """An image as bright as attention is there, with a frame around a box.

    Args:
        image: [H, W, 3] uint8.
        weights: [h, w], of cells that the image is cut into; the maximum is full brightness.
        box: corners x0, y0, x1, y1 in pixels. None means no frame.
    """
    picture = canvas(image)
    size = picture.shape[:2]
    r, c = (np.arange(n) * old // n for n, old in zip(size, weights.shape, strict=True))
    light = weights[r][:, c, None] / max(weights.max(), 1e-12)
    picture *= _DIM + (1 - _DIM) * light
    if box is not None:
        left, top, right, bottom = (box * size[0] // image.shape[0]).astype(int)
        for width, shade in ((4, 0.0), (2, 1.0)):  # seen on dark and on bright ground
            outer = np.zeros(size, bool)
            outer[max(top - width, 0) : bottom + width, max(left - width, 0) : right + width] = True
            outer[top:bottom, left:right] = False
            picture[outer] = shade
    return picture
