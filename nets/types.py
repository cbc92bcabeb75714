"""Type hints shared by several modules; the launcher makes flags of such fields."""

from collections.abc import Callable
from typing import Literal

import jax

Activation = Callable[[jax.Array], jax.Array]

KernelInit = Literal[
    "zeros",
    "small",
    "xavier_uniform",
    "xavier_normal",
    "he_uniform",
    "he_normal",
    "lecun_normal",
    "orthogonal",
]
"""Initialisers of kernels by name (`nets.layers.initialisers`)."""


class Epochs(float):
    """A number of passes over the training set, in place of steps; `1.5epochs` as text.

    `nets.cli.resolve.resolve` turns it into steps, when it knows the size of the set.
    """

    def __repr__(self) -> str:
        return f"{float(self):g}epochs"


Steps = int | Epochs


def epochs(*numbers: float) -> tuple[Epochs, ...]:
    """Several at once: `epochs(30, 60, 90)`."""
    return tuple(map(Epochs, numbers))
