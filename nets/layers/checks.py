"""Checks of one argument; a message names it, the value that was given and those that are valid."""

from collections.abc import Sequence
from typing import Any, get_args


def check_at_least(name: str, value: float | None, minimum: float) -> None:
    """Raises ValueError for a number below `minimum`, for NaN, and for None.

    >>> check_at_least("layers", 0, 1)
    Traceback (most recent call last):
    ValueError: layers must be at least 1, got 0
    """
    if value is None or not value >= minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}")


def check_between(name: str, value: float, low: float, high: float) -> None:
    """Raises ValueError for a number outside of [low, high], and for NaN."""
    if not low <= value <= high:
        raise ValueError(f"{name} must be at least {low} and at most {high}, got {value}")


def check_length(name: str, values: Sequence[Any], length: int) -> None:
    """Raises ValueError for a tuple that has not `length` values."""
    if len(values) != length:
        raise ValueError(f"{name} must have {length} values, got {values}")


def check_positive(name: str, value: float) -> None:
    """Raises ValueError for a number that is not above 0, and for NaN."""
    if not value > 0:
        raise ValueError(f"{name} must be positive, got {value}")


def check_probability(name: str, value: float) -> None:
    """Raises ValueError for a probability of dropping that is not in [0, 1)."""
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be in [0, 1), got {value}")


def check_choice(name: str, value: str, choices: Any) -> None:
    """Raises ValueError for a value that is not one of the choices, a Literal type or a tuple."""
    choices = choices if isinstance(choices, tuple) else get_args(choices)
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
