"""Argument checks shared by several layers."""

from typing import Any, get_args


def check_choice(field: str, value: str, choices: Any) -> None:
    """Refuses a value of a field that none of its choices, a Literal, is.

    Raises:
        ValueError: there is no such choice.
    """
    if value not in get_args(choices):
        raise ValueError(f"{field}={value!r}: valid are {', '.join(get_args(choices))}")


def check_probability(field: str, probability: float) -> None:
    """Refuses what is no probability of dropping something.

    Raises:
        ValueError: it is not in [0, 1).
    """
    if not 0 <= probability < 1:
        raise ValueError(f"{field}={probability}: valid are probabilities from 0 to below 1")
