"""What a classifier of images refuses before anything is computed."""

import jax
from flax import linen as nn


def check_images(model: nn.Module, x: jax.Array, least: int) -> None:
    """Refuses what `model`, which has a field `num_classes`, cannot classify.

    Args:
        model: named in the message.
        x: images [B, H, W, C].
        least: number of pixels below which H or W is too small.

    Raises:
        ValueError: x has other axes or is too small, or `num_classes` is None or below 0.
    """
    name = type(model).__name__
    if x.ndim != 4 or min(x.shape[1:3]) < least:
        raise ValueError(
            f"{name} takes images [B, H, W, C] of at least {least} x {least} pixels, "
            f"not {list(x.shape)}"
        )
    if model.num_classes is None or model.num_classes < 0:
        raise ValueError(
            f"{name}.num_classes is {model.num_classes}: valid are a number of classes, and 0 for "
            "a model without a head"
        )
