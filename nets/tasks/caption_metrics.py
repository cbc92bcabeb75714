"""Metrics of captions: words that are right, and attention inside the boxes that they name."""

import jax
import jax.numpy as jnp

from nets.errors import UserError
from nets.layers.decoding import Decoded
from nets.tasks.metrics import masked_sum


def symbol_mask(batch: dict) -> jax.Array:
    """The symbols [B, C, U] that count: the words of each caption and its end."""
    lengths = batch["caption_lengths"][..., None]
    return jnp.arange(batch["targets"].shape[-1])[None, None] <= lengths


def matched(symbols: jax.Array, batch: dict) -> tuple[jax.Array, jax.Array]:
    """Of each image's captions the one that shares most words, and the end, with the decoded one.

    Args:
        symbols: [B, U].
        batch: its "targets" [B, C, U] and "caption_lengths" [B, C].

    Returns:
        its index [B] among them, and where its words and the end are those decoded, [B, U].
    """
    same = symbols[:, None] == batch["targets"]
    chosen = (same & symbol_mask(batch)).sum(-1).argmax(-1)
    return chosen, jnp.take_along_axis(same, chosen[:, None, None], 1)[:, 0]


def caption_metrics(decoded: Decoded, batch: dict) -> dict[str, tuple[jax.Array, jax.Array]]:
    """The metrics (sum, weight) of captions that a model decoded without the true ones."""
    chosen, same = matched(decoded.symbols, batch)
    right = same.all(-1)
    metrics = {"exact_match": masked_sum(right, batch)}
    if "named" not in batch:
        return metrics
    named = jnp.take_along_axis(batch["named"], chosen[:, None, None], 1)[:, 0]  # [B, U]
    metrics["attributes"] = masked_sum((same | (named < 0)).all(-1), batch)
    metrics["relation"] = masked_sum((same | (named >= 0)).all(-1), batch)
    keys = decoded.weights.shape[-1]
    if keys == 0:
        return metrics
    height, width = batch["inputs"].shape[1:3]
    share = cell_shares(batch["boxes"], (height, width), grid(keys, height, width))
    word = jnp.maximum(named, 0)[..., None]
    inside = jnp.take_along_axis(share, word, 1)  # [B, U, K]
    box = jnp.take_along_axis(share.mean(-1, keepdims=True), word, 1)[..., 0]
    counted = (right[:, None] & (named >= 0)) * batch.get("mask", jnp.ones(len(right)))[:, None]
    metrics["in_box"] = jnp.sum((inside * decoded.weights).sum(-1) * counted), counted.sum()
    metrics["box_share"] = jnp.sum(box * counted), counted.sum()
    return metrics


def grid(cells: int, height: int, width: int) -> tuple[int, int]:
    """Rows and columns of that many cells of an image, as nearly square as its size allows.

    Raises:
        UserError: there are none.
    """
    rows = max(round((cells * height / width) ** 0.5), 1)
    if cells % rows:
        raise UserError(
            f"{cells} positions are no grid of cells over images of {height} x {width} pixels: "
            "valid is a stage that reduces both sides by the same factor."
        )
    return rows, cells // rows


def cell_shares(boxes: jax.Array, size: tuple[int, int], cells: tuple[int, int]) -> jax.Array:
    """The share of each cell's area that lies in each box.

    Args:
        boxes: [B, O, 4], corners x0, y0, x1, y1 in pixels.
        size: pixels of the image, height and width.
        cells: rows and columns of equal cells that it is cut into.

    Returns:
        [B, O, rows * columns].
    """
    along = []
    for axis in (0, 1):
        edges = jnp.arange(cells[axis] + 1) * size[axis] / cells[axis]
        low, high = boxes[..., 1 - axis, None], boxes[..., 3 - axis, None]
        ends = jnp.minimum(high, edges[None, None, 1:]) - jnp.maximum(low, edges[None, None, :-1])
        along.append(jnp.maximum(ends, 0) * cells[axis] / size[axis])
    share = along[0][..., :, None] * along[1][..., None, :]
    return share.reshape(*share.shape[:2], -1)
