import re
from typing import Literal

import pytest

from nets.layers.checks import (
    check_at_least,
    check_between,
    check_choice,
    check_length,
    check_positive,
    check_probability,
)

NAN = float("nan")
Color = Literal["red", "green"]


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: check_at_least("size", 1, 2), "size must be at least 2, got 1"),
        (lambda: check_at_least("size", NAN, 2), "size must be at least 2, got nan"),
        (
            lambda: check_between("share", 7, 0, 1),
            "share must be at least 0 and at most 1, got 7",
        ),
        (
            lambda: check_between("share", NAN, 0, 1),
            "share must be at least 0 and at most 1, got nan",
        ),
        (lambda: check_length("widths", (1, 2), 3), "widths must have 3 values, got (1, 2)"),
        (lambda: check_positive("scale", 0.0), "scale must be positive, got 0.0"),
        (lambda: check_positive("scale", NAN), "scale must be positive, got nan"),
        (lambda: check_probability("rate", 1.0), "rate must be in [0, 1), got 1.0"),
        (lambda: check_probability("rate", -0.1), "rate must be in [0, 1), got -0.1"),
        (lambda: check_probability("rate", NAN), "rate must be in [0, 1), got nan"),
        (
            lambda: check_choice("color", "blue", Color),
            "color must be one of red, green, got 'blue'",
        ),
        (lambda: check_choice("color", "red", ("a", "b")), "color must be one of a, b, got 'red'"),
    ],
)
def test_messages(check, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check()


def test_valid_values():
    check_at_least("size", 2, 2)
    check_positive("scale", 1e-9)
    check_probability("rate", 0.0)
    check_probability("rate", 0.999)
    check_choice("color", "green", Color)
    check_choice("color", "b", ("a", "b"))
