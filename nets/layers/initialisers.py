"""Initialisers of kernels by name, as fields of image networks and flags of their experiments."""

from typing import get_args

from flax import linen as nn

from nets.layers.checks import check_choice
from nets.types import KernelInit

LECUN = nn.initializers.lecun_normal()
"""Normal with variance 1 / fan-in (LeCun et al. 1998), the default of flax."""


def initialiser(
    name: KernelInit | None, default: nn.initializers.Initializer | None = LECUN
) -> nn.initializers.Initializer | None:
    """The initialiser of this name; None means `default`.

    For a kernel of n inputs and m outputs a unit: "zeros"; "small", normal with standard deviation
    0.01; "xavier_uniform" and "xavier_normal", variance 2 / (n + m) (Glorot and Bengio 2010);
    "he_uniform" and "he_normal", variance 2 / n (He et al. 2015); "lecun_normal", variance 1 / n;
    "orthogonal", columns of a random orthogonal matrix (Saxe et al. 2014). In a convolution n and m
    are the channels times the size of the window. The normal ones but "small" are truncated at two
    standard deviations, and have this variance after that.

        >>> initialiser("zeros")(jax.random.key(0), (2, 2)).tolist()
        [[0.0, 0.0], [0.0, 0.0]]

    Raises:
        ValueError: there is no initialiser of this name.
    """
    if name is None:
        return default
    check_choice("kernel_init", name, get_args(KernelInit))
    made = nn.initializers
    return {
        "zeros": made.zeros,
        "small": made.normal(0.01),
        "xavier_uniform": made.xavier_uniform(),
        "xavier_normal": made.xavier_normal(),
        "he_uniform": made.he_uniform(),
        "he_normal": made.he_normal(),
        "lecun_normal": LECUN,
        "orthogonal": made.orthogonal(),
    }[name]
