"""Metrics of answers: how many people agree, and attention inside the boxes described."""

import jax
import jax.numpy as jnp

from nets.tasks.caption_metrics import cell_shares, grid
from nets.tasks.metrics import weights


def agreement(answers: jax.Array, people: jax.Array) -> tuple[jax.Array, jax.Array]:
    """min(n / 3, 1) where n people gave that answer, and its mean over sets without one of them.

        >>> whole, nine = agreement(jnp.array([7]), jnp.array([[7, 7, *[1] * 8]]))
        >>> round(float(whole[0]), 3), round(float(nine[0]), 3)
        (0.667, 0.6)

    Args:
        answers: [B, ...] int.
        people: [B, ..., P] int; -1 is an answer that is none of those known.

    Returns:
        two arrays [B, ...].
    """
    same = (answers[..., None] == people).sum(-1).astype(jnp.float32)
    count = people.shape[-1]
    without = same * jnp.minimum((same - 1) / 3, 1) + (count - same) * jnp.minimum(same / 3, 1)
    return jnp.minimum(same / 3, 1), without / count


def in_boxes(
    attention: jax.Array, right: jax.Array, batch: dict
) -> dict[str, tuple[jax.Array, jax.Array]]:
    """in_box_1, in_box_2, ... and box_share, as of `nets.tasks.answer.AnswerQuestion`.

    Args:
        attention: [B, ..., N, cells].
        right: [B, ...] bool, which questions count.
        batch: with "inputs", "boxes" and "described"; boxes do not overlap.
    """
    height, width = batch["inputs"].shape[1:3]
    cells = grid(attention.shape[-1], height, width)
    shares = cell_shares(batch["boxes"], (height, width), cells)  # [B, O, cells]
    described = batch["described"]
    inside = jnp.einsum("b...o,bok->b...k", described.astype(shares.dtype), shares)
    counted = weights(right, batch) * (right & described.any(-1))
    metrics = {
        f"in_box_{i + 1}": (
            jnp.sum((attention[..., i, :] * inside).sum(-1) * counted),
            counted.sum(),
        )
        for i in range(attention.shape[-2])
    }
    return metrics | {"box_share": (jnp.sum(inside.mean(-1) * counted), counted.sum())}
