"""Argument checks shared by data sets; each raises a UserError that names the field."""

import math
from collections.abc import Sequence
from typing import Any

from nets.errors import UserError


def at_least(data: Any, least: float, *fields: str) -> None:
    """Refuses fields below a minimum, or not finite; None passes."""
    for field in fields:
        value = getattr(data, field)
        if value is not None and not (value >= least and math.isfinite(value)):
            raise UserError(f"{field} must be at least {least}, got {value}.")


def one_of(data: Any, field: str, valid: Sequence[str]) -> None:
    """Refuses any other value of a field."""
    if (value := getattr(data, field)) not in valid:
        raise UserError(f"{field} must be one of {', '.join(valid)}, got {value}.")


def fits(data: Any, n: int, rows: str) -> None:
    """Refuses a batch_size above the n training rows, of which `rows` says what they are."""
    if data.batch_size > n:
        raise UserError(f"batch_size must be at most {n}, the {rows}, got {data.batch_size}.")


def together(data: Any, fields: tuple[str, str], why: str) -> None:
    """Refuses one of two fields without the other, of which `why` says what it is."""
    given = [field for field in fields if getattr(data, field) is not None]
    if len(given) == 1:
        (lacking,) = set(fields) - set(given)
        raise UserError(f"{given[0]} needs {lacking}, {why}.")
