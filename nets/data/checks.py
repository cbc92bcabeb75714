"""Argument checks shared by data sets; each raises a UserError that names the field."""

from typing import Any

from nets.errors import UserError


def check_fits(data: Any, n: int, rows: str) -> None:
    """Refuses a batch_size above the n training rows, of which `rows` says what they are."""
    if data.batch_size > n:
        raise UserError(f"must be at most {n}, the {rows}, got {data.batch_size}.", "batch_size")


def check_size(data: Any, *fields: str) -> None:
    """Refuses a size that is not a height and a width of at least 1; None passes."""
    for field in fields:
        size = getattr(data, field)
        if size is not None and (len(size) != 2 or min(size) < 1):
            raise UserError(f"must be a height and a width of at least 1, got {size}.", field)


def check_together(data: Any, fields: tuple[str, str], why: str) -> None:
    """Refuses one of two fields without the other, of which `why` says what it is."""
    set_fields = [field for field in fields if getattr(data, field) is not None]
    if len(set_fields) == 1:
        (lacking,) = set(fields) - set(set_fields)
        raise UserError(f"needs {lacking}, {why}.", set_fields[0])
