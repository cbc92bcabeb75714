"""Argument checks of image classifiers."""

import dataclasses

import jax
from flax import linen as nn

from nets.layers.checks import check_probability


def check_images(model: nn.Module, x: jax.Array, minimum: int) -> None:
    """Raises ValueError unless x is images [B, H, W, C] that `model` can classify.

    H and W must be at least `minimum`, and channels last; the head is checked by `check_head`.
    """
    check_head(model)
    if x.ndim != 4 or min(x.shape[1:3]) < minimum or channels_first(x.shape):
        raise ValueError(
            f"{type(model).__name__} takes images [B, H, W, C] of at least {minimum} x {minimum} "
            f"pixels, not {list(x.shape)}{channels_hint(x.shape)}"
        )


def channels_first(shape: tuple[int, ...]) -> bool:
    """Whether a shape is certainly [B, C, H, W]: a square grey or colour image, channels first.

    That is one or three rows, and as many channels as columns, at least 8. Other flat images with
    many channels are possible (spectra of a few lines, signals of one row).

        >>> channels_first((1, 3, 32, 32)), channels_first((1, 32, 32, 3))
        (True, False)
    """
    return len(shape) == 4 and shape[1] in (1, 3) and shape[2] == shape[3] >= 8


def channels_hint(shape: tuple[int, ...]) -> str:
    """The end of an error message about images: advice if they seem to be channels first."""
    if len(shape) == 4 and shape[1] <= 4 < min(shape[2:]):
        return ": channels come last, and these look like channels first; x.transpose(0, 2, 3, 1)"
    return ""


def check_head(model: nn.Module) -> None:
    """Raises ValueError if `num_classes` of a classifier is None or below 0, or a dropout invalid.

    Its fields `dropout` and `auxiliary_dropout`, if it declares them, are a probability in [0, 1),
    or one for each block.
    """
    name = type(model).__name__
    if model.num_classes is None or model.num_classes < 0:
        raise ValueError(
            f"{name}.num_classes must be at least 0 (0 means no head), got {model.num_classes}"
        )
    for field in dataclasses.fields(model):
        if field.name in ("dropout", "auxiliary_dropout"):
            rates = getattr(model, field.name)
            for rate in rates if isinstance(rates, tuple) else (rates,):
                check_probability(f"{name}.{field.name}", rate)
