"""Images as the models of some tasks take them: colours of mean 0 and variance 1."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from nets.errors import UserError


def check_colours(std: Sequence[float]) -> None:
    """Refuses, by UserError of the field "std", a standard deviation that is not above 0."""
    if not all(s > 0 for s in std):
        raise UserError(f"must be above 0, got {std}.", "std")


def standardised(images: jax.Array, mean: Sequence[float], std: Sequence[float]) -> jax.Array:
    """Images [..., C] (uint8) as (x / 255 - mean) / std, float32.

    Raises:
        UserError: there is not one mean and one std for each of the colours.
    """
    if not len(mean) == len(std) == images.shape[-1]:
        raise UserError(
            f"and std must have one number for each of the {images.shape[-1]} colours, got "
            f"{mean} and {std}.",
            "mean",
        )
    shape = (1,) * (images.ndim - 1) + (-1,)
    offset, scale = (jnp.array(a).reshape(shape) for a in (mean, std))
    return (images.astype(jnp.float32) / 255 - offset) / scale
