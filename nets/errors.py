"""The exception for mistakes of the user, and the check of a field's range."""

import math
from typing import Any


class UserError(Exception):
    """A mistake of the user, in one line: what was given and what is valid.

    The launcher prints it and exits with code 2.

    Attributes:
        field: dotted path of the field at fault, with which the message begins; the launcher shows
            it as a flag. Empty where there is none.
    """

    def __init__(self, message: str, field: str = ""):
        super().__init__(f"{field} {message}" if field else message)
        self.message, self.field = message, field

    def inside(self, path: str) -> "UserError":
        """The same error of a field of the object at `path`."""
        return UserError(self.message, f"{path}.{self.field}") if self.field else self


def check_range(
    owner: Any,
    *fields: str,
    at_least: float = -math.inf,
    above: float = -math.inf,
    at_most: float = math.inf,
    below: float = math.inf,
) -> None:
    """Refuses numbers of an object that are outside of a range, and NaN; None passes.

    Raises:
        UserError: "FIELD must be at least 0 and below 1, got 2".
    """
    bounds = {"at least": at_least, "above": above, "at most": at_most, "below": below}
    valid = " and ".join(f"{name} {b}" for name, b in bounds.items() if math.isfinite(b))
    for field in fields:
        value = getattr(owner, field)
        if value is None or (at_least <= value <= at_most and above < value < below):
            continue
        raise UserError(f"must be {valid}, got {value}.", field)


def missing(use: str, package: str, extra: str) -> UserError:
    """The error for a use ("BLEU") whose package is not installed; it names the extra to install.

    >>> str(missing("BLEU", "sacrebleu", "translate")).split(":")[0]
    'BLEU needs sacrebleu'
    """
    return UserError(
        f"{use} needs {package}: run `pip install -e '.[{extra}]'` in the folder of this project, "
        f"or `pip install {package}`."
    )
