"""Checks of one argument; a message names it, the value that was given and those that are valid."""

from typing import Any, get_args


def check_at_least(name: str, value: float, minimum: float) -> None:
    """Refuses a number below `minimum`, and NaN.

    Raises:
        ValueError: "NAME must be at least M, got V".

    >>> check_at_least("layers", 0, 1)
    Traceback (most recent call last):
    ValueError: layers must be at least 1, got 0
    """
    if not value >= minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}")


def check_positive(name: str, value: float) -> None:
    """Refuses a number that is not above 0, and NaN.

    Raises:
        ValueError: "NAME must be positive, got V".
    """
    if not value > 0:
        raise ValueError(f"{name} must be positive, got {value}")


def check_probability(name: str, value: float) -> None:
    """Refuses a probability of dropping that is not in [0, 1).

    Raises:
        ValueError: "NAME must be in [0, 1), got V".
    """
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be in [0, 1), got {value}")


def check_choice(name: str, value: str, choices: Any) -> None:
    """Refuses a value that is none of the choices, which are a Literal type or a tuple.

    Raises:
        ValueError: "NAME must be one of a, b, c, got V".
    """
    choices = choices if isinstance(choices, tuple) else get_args(choices)
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
