"""What a classifier of images refuses before anything is computed."""

import jax
from flax import linen as nn

from nets.layers.checks import check_probability


def check_images(model: nn.Module, x: jax.Array, least: int) -> None:
    """Refuses what `model`, which has a field `num_classes`, cannot classify.

    Args:
        model: named in the message.
        x: images [B, H, W, C].
        least: number of pixels below which H or W is too small.

    Raises:
        ValueError: x has other axes, is too small or cannot but be channels first, or as
            `check_head`.
    """
    check_head(model)
    if x.ndim != 4 or min(x.shape[1:3]) < least or channels_first(x.shape):
        raise ValueError(
            f"{type(model).__name__} takes images [B, H, W, C] of at least {least} x {least} "
            f"pixels, not {list(x.shape)}{channels_hint(x.shape)}"
        )


def channels_first(shape: tuple[int, ...]) -> bool:
    """Whether [B, H, W, C] is read from what can only be [B, C, H, W].

    One or three rows, and as many channels as columns, at least 8: a square grey or colour image.
    Other flat images with many channels may be meant (spectra of a few lines, signals of one row).
    """
    return len(shape) == 4 and shape[1] in (1, 3) and shape[2] == shape[3] >= 8


def channels_hint(shape: tuple[int, ...]) -> str:
    """The end of a message about images that are refused: what to do if they are channels first."""
    if len(shape) == 4 and shape[1] <= 4 < min(shape[2:]):
        return ": channels come last, and these look like channels first; x.transpose(0, 2, 3, 1)"
    return ""


def check_head(model: nn.Module) -> None:
    """Refuses what ends no classifier: its `num_classes`, and what it drops on the way, if it does.

    Args:
        model: has a field `num_classes`; its fields `dropout` (one, or one for each block) and
            `auxiliary_dropout`, where it has them, are probabilities.

    Raises:
        ValueError: `num_classes` is None or below 0, or a probability is not in [0, 1).
    """
    name = type(model).__name__
    if model.num_classes is None or model.num_classes < 0:
        raise ValueError(
            f"{name}.num_classes is {model.num_classes}: valid are a number of classes, and 0 for "
            "a model without a head"
        )
    for field in ("dropout", "auxiliary_dropout"):
        rates = getattr(model, field, 0.0)
        for rate in rates if isinstance(rates, tuple) else (rates,):
            check_probability(f"{name}.{field}", rate)
