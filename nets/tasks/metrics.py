"""Metrics as sums and weights, which batches add up and the end divides."""

import jax
import jax.numpy as jnp


def weights(each: jax.Array, batch: dict) -> jax.Array:
    """The batch's mask, [B] or [B, T], in the shape of `each`; ones where there is none."""
    if "mask" not in batch:
        return jnp.ones(each.shape)
    mask = batch["mask"]
    return jnp.broadcast_to(mask.reshape(mask.shape + (1,) * (each.ndim - mask.ndim)), each.shape)


def masked_sum(each: jax.Array, batch: dict) -> tuple[jax.Array, jax.Array]:
    """Sum and weight of what each row [B] or step [B, T] has, by the batch's mask."""
    mask = weights(each, batch)
    return jnp.sum(each * mask), mask.sum()


def exact_match(right: jax.Array, batch: dict) -> tuple[jax.Array, jax.Array]:
    """Sum and weight of the rows [B, T] that are right at every step that counts."""
    mask = weights(right, batch) > 0
    counts = mask.any(1).astype(jnp.float32)
    return jnp.sum((right | ~mask).all(1) * counts), counts.sum()


def mean(metric: tuple[jax.Array, jax.Array]) -> jax.Array:
    """The mean, from its sum and weight."""
    return metric[0] / metric[1]


def compute(sums: dict) -> dict[str, float]:
    """The mean of each metric, from its sum and weight over a whole split; none where nothing
    counted for it."""
    return {k: float(mean((s, w))) for k, (s, w) in sums.items() if w > 0}
