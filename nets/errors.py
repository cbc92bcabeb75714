"""The exception for mistakes of the user, and the check of a field's range."""

import contextlib
import math
import typing
from collections.abc import Iterator
from typing import Any


class UserError(Exception):
    """A mistake of the user, in one line: what was given and what is valid.

    The launcher prints it and exits with code 2.

    Attributes:
        field: dotted path of the field at fault, with which the message begins ("=VALUE ..." may
            follow it); the launcher shows it as a flag. Empty where there is none.
    """

    def __init__(self, message: str, field: str = "") -> None:
        between = " " if field and message[:1] != "=" else ""
        super().__init__(f"{field}{between}{message}")
        self.message, self.field = message, field

    def as_flag(self) -> str:
        """The message with the field as a flag."""
        return f"--{self}" if self.field else str(self)

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
    """Refuses numbers of an object that are outside of a range or not finite; None passes.

    Raises:
        UserError: "FIELD must be at least 0 and below 1, got 2".
    """
    bounds = {"at least": at_least, "above": above, "at most": at_most, "below": below}
    valid = " and ".join(f"{name} {b}" for name, b in bounds.items() if math.isfinite(b))
    for field in fields:
        value = getattr(owner, field)
        if value is None:
            continue
        if not (math.isfinite(value) and at_least <= value <= at_most and above < value < below):
            raise UserError(f"must be {valid}, got {value}.", field)


def check_choice(owner: Any, field: str, choices: Any) -> None:
    """Refuses any other value of a field than those of a sequence or a Literal.

    Raises:
        UserError: "FIELD must be one of a, b, got c".
    """
    valid = typing.get_args(choices) or choices
    if (value := getattr(owner, field)) not in valid:
        raise UserError(f"must be one of {', '.join(map(str, valid))}, got {value}.", field)


def about(setting: str, message: str) -> UserError:
    """The error about a field and its value, `given` as FIELD=VALUE, or about anything else."""
    field, equals, value = setting.partition("=")
    return UserError(f"={value} {message}", field) if equals else UserError(f"{setting} {message}")


@contextlib.contextmanager
def inside(path: str) -> Iterator[None]:
    """Errors about a field of the object at `path` are raised with the whole path."""
    try:
        yield
    except UserError as error:
        raise (error if "." in error.field else error.inside(path)) from error.__cause__


def missing(use: str, package: str, extra: str) -> UserError:
    """The error for a use ("BLEU") whose package is not installed; it names the extra to install.

    >>> str(missing("BLEU", "sacrebleu", "translate")).split(":")[0]
    'BLEU needs sacrebleu'
    """
    return UserError(
        f"{use} needs {package}: run `pip install -e '.[{extra}]'` in the folder of this project, "
        f"or `pip install {package}`."
    )
