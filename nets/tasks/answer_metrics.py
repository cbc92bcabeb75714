"""Metrics and losses of answers: how many people agree, attention to what is described."""

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
    described = batch["described"] > 0
    inside = _inside(described, attention.shape[-1], batch)
    counted = weights(right, batch) * (right & described.any(-1))
    metrics = {
        f"in_box_{i + 1}": (
            jnp.sum((attention[..., i, :] * inside).sum(-1) * counted),
            counted.sum(),
        )
        for i in range(attention.shape[-2])
    }
    return metrics | {"box_share": (jnp.sum(inside.mean(-1) * counted), counted.sum())}


def pointing_loss(attention: jax.Array, batch: dict) -> tuple[jax.Array, jax.Array]:
    """-log of the share of each look's attention in the boxes that it should be in, in nats.

    Look i should be in those of the objects that the i-th description of the question fits; in
    those of the first, where there is no i-th or no such object.

    Args:
        attention: [B, ..., N, cells].
        batch: as of `in_boxes`.

    Returns:
        the sum over looks and over the questions that describe an object that is there, and the
        number of its terms.
    """
    described, looks = batch["described"], attention.shape[-2]
    first = (described == 1)[..., None, :]
    own = jnp.stack([described == i + 1 for i in range(looks)], -2)  # [B, ..., N, O]
    target = jnp.where(own.any(-1, keepdims=True), own, first)
    share = (attention * _inside(target, attention.shape[-1], batch)).sum(-1)
    counted = weights(described[..., 0], batch) * (described == 1).any(-1)
    nats = -jnp.log(jnp.maximum(share, 1e-6)).sum(-1)
    return jnp.sum(nats * counted), looks * counted.sum()


def _inside(chosen: jax.Array, cells: int, batch: dict) -> jax.Array:
    """The share [B, ..., cells] of each cell in the boxes of the objects chosen [B, ..., O]."""
    height, width = batch["inputs"].shape[1:3]
    shares = cell_shares(batch["boxes"], (height, width), grid(cells, height, width))
    return jnp.einsum("b...o,bok->b...k", chosen.astype(shares.dtype), shares)
