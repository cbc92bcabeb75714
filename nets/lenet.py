"""LeCun's digit classifiers: LeNet-1989, and LeNet-5 (1998), original and modern.

LeCun et al., Backpropagation Applied to Handwritten Zip Code Recognition, Neural Computation 1989.
LeCun, Bottou, Bengio and Haffner, Gradient-Based Learning Applied to Document Recognition, Proc.
IEEE 1998.
"""

import functools
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.linen.dtypes import promote_dtype
from jax.typing import ArrayLike, DTypeLike

from nets.layers.checks import check_choice
from nets.layers.classification_head import logits
from nets.layers.conv import Conv
from nets.layers.conv_table import Table, TableConv, fan_in_uniform
from nets.layers.conv_windows import Sliding, observed
from nets.layers.image_checks import channels_hint, check_head
from nets.layers.initialisers import initialiser
from nets.types import Activation, KernelInit

Pooling = Literal["average", "max"]

C3_TABLE: Table = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5)),
)
"""Table I of LeCun et al. 1998: 60 connections from the 6 maps of S2 to the 16 of C3."""

H2_TABLE: Table = (
    *((0, 1, 2, 3, 4, 5, 6, 7),) * 4,
    *((4, 5, 6, 7, 8, 9, 10, 11),) * 4,
    *((0, 1, 2, 3, 8, 9, 10, 11),) * 4,
)
"""The 8 of the 12 maps of H1 that each map of H2 sees.

LeCun et al. 1989 choose them "according a scheme that will not be described here"; this is the
one that Karpathy chose for his reproduction (2022, karpathy/lecun1989-repro).
"""

_BITMAPS = """
..###.. ...##.. .#####. ####### ....##. ####### ..####. ####### .#####. .#####.
.##.##. ..###.. ##...## ####### ...###. ####### .##.... ####### ##...## ##...##
##...## .####.. ##...## ....##. ..####. ##..... ##..... .....## ##...## ##...##
##...## ...##.. .....## ...##.. .##.##. ##..... ##..... ....##. ##...## ##...##
##...## ...##.. ....##. ..###.. ##..##. ######. ######. ....##. .#####. ##...##
##...## ...##.. ...##.. ....##. ##..##. .....## ##...## ...##.. .#####. ##...##
##...## ...##.. ..##... .....## ####### .....## ##...## ...##.. ##...## .######
##...## ...##.. .##.... .....## ####### .....## ##...## ..##... ##...## .....##
##...## ...##.. ##..... .....## ....##. .....## ##...## ..##... ##...## .....##
##...## ...##.. ##..... ##...## ....##. ##...## ##...## .##.... ##...## ....##.
.##.##. .###### ####### ##...## ....##. ##...## ##...## .##.... ##...## ...##..
..###.. .###### ####### .#####. ....##. .#####. .#####. .##.... .#####. .###...
"""

CODES: np.ndarray = np.array(
    [
        [1.0 if pixel == "#" else -1.0 for row in digit for pixel in row]
        for digit in zip(*(line.split() for line in _BITMAPS.split("\n") if line), strict=True)
    ],
    np.float32,
)
"""Target of F6 for each digit, [10, 84]: bitmaps 7 wide and 12 high, ink 1, paper -1.

Drawn for this file after the paper's figure 3; the paper gives no list.
"""


def squash(x: jax.Array) -> jax.Array:
    """A tanh(S a) with A = 1.7159 and S = 2/3, so that f(1) = 1 and f(-1) = -1 (1998, eq. 6)."""
    return 1.7159 * jnp.tanh(2 / 3 * x)


class LeNet5(nn.Module):
    """LeNet-5, the modern version: dense C3, plain pooling, linear output.

    61,706 parameters for one channel and ten classes. Stages, after the activation: C1
    [B, 28, 28, 6], S2 [B, 14, 14, 6], C3 [B, 10, 10, 16], S4 [B, 5, 5, 16], C5 [B, 120],
    F6 [B, 84]. Kernels are initialised as LeCun normal, biases to zero.

    >>> model, x = LeNet5(num_classes=10), jnp.zeros((2, 28, 28, 1))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 10)

    Attributes:
        num_classes: number of classes. None means that the data fills it in; 0 means no output
            layer, and F6 as the result.
        activation: nonlinearity after C1, C3, C5 and F6.
        pooling: average or max pooling of 2x2 units in S2 and S4.
        dropout: probability of dropping a unit of C5 and F6 while training.
        kernel_init: initialiser of every kernel, by name (`nets.layers.initialisers`). None means
            those stated above.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    num_classes: int | None = 10
    activation: Activation = nn.tanh
    pooling: Pooling = "average"
    dropout: float = 0.0
    kernel_init: KernelInit | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, stages: bool = False
    ) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
        """Maps x [B, 28, 28, C] (C1 pads it by 2 zeros) or [B, 32, 32, C] to logits.

        Logits are [B, num_classes], float32 at least. Needs the key `dropout` while training if
        `dropout` is above 0.

        Raises:
            ValueError: x has another size, `pooling` is unknown, `dropout` is not in [0, 1) or
                `num_classes` is None.
        """
        _check_size(self, x, 28, 32)
        check_head(self)
        check_choice("LeNet5.pooling", self.pooling, Pooling)
        options = {"kernel_init": initialiser(self.kernel_init)}
        options |= {"dtype": self.dtype, "param_dtype": self.param_dtype}
        conv = functools.partial(Conv, window=(5, 5), **options)
        pool = jnp.mean if self.pooling == "average" else jnp.max
        drop = nn.Dropout(self.dropout, deterministic=not train)
        outputs = {}
        pad = (32 - x.shape[1]) // 2
        outputs["C1"] = x = self.activation(conv(6, padding=pad, name="C1")(x))
        outputs["S2"] = x = pool(_blocks_2x2(x), axis=(2, 4))
        outputs["C3"] = x = self.activation(conv(16, padding="VALID", name="C3")(x))
        outputs["S4"] = x = pool(_blocks_2x2(x), axis=(2, 4))
        x = x.reshape(x.shape[0], -1)
        outputs["C5"] = x = self.activation(nn.Dense(120, **options, name="C5")(x))
        outputs["F6"] = x = self.activation(nn.Dense(84, **options, name="F6")(drop(x)))
        if self.num_classes:
            x = logits(self.num_classes, **options, name="output")(drop(x))
        return (x, outputs) if stages else x


class LeNet5Original(nn.Module):
    """LeNet-5 as published in 1998: sparse C3, trainable subsampling, RBF outputs.

    Exactly 60,000 parameters: C1 156, S2 12, C3 1,516, S4 32, C5 48,120, F6 10,164. The output has
    none: its centres are `CODES`. C1, S2, C3, S4, C5 and F6 all end in `squash`. Initialisation is
    the paper's: uniform within 2.4 / (number of a unit's inputs), also for the biases, which the
    paper counts among a unit's connections.

    Stages: as in `LeNet5`.

    >>> model, x = LeNet5Original(), jnp.zeros((2, 32, 32, 1))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 10)

    Attributes:
        num_classes: number of classes, 10: there are codes for the ten digits only.
        kernel_init: initialiser of every kernel, by name (`nets.layers.initialisers`). None means
            the paper's.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    num_classes: int | None = 10
    kernel_init: KernelInit | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, stages: bool = False
    ) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
        """Maps x [B, 28, 28, 1] or [B, 32, 32, 1] to distances; the smallest is the class.

        y_i = sum_j (x_j - w_ij)^2, [B, 10], float32 at least (equation 7); these are not logits.
        Images of 28x28 are padded by two pixels of their minimum, the background.

        Raises:
            ValueError: x has another size or more than one channel, or `num_classes` is not 10.
        """
        _check_size(self, x, 28, 32, channels=1)
        if self.num_classes != len(CODES):
            raise ValueError(
                f"LeNet5Original.num_classes must be {len(CODES)}, got {self.num_classes}"
            )
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        options = {"kernel_init": initialiser(self.kernel_init, None), **dtypes}
        outputs = {}
        background = x.min(axis=(1, 2, 3), keepdims=True)
        x = _pad_with(x, (32 - x.shape[1]) // 2, background)
        outputs["C1"] = x = squash(TableConv(6, **options, name="C1")(x))
        outputs["S2"] = x = squash(Subsampling(**dtypes, name="S2")(x))
        outputs["C3"] = x = squash(TableConv(16, table=C3_TABLE, **options, name="C3")(x))
        outputs["S4"] = x = squash(Subsampling(**dtypes, name="S4")(x))
        x = x.reshape(x.shape[0], -1)
        outputs["C5"] = x = squash(_dense(120, 400, **options, name="C5")(x))
        outputs["F6"] = x = squash(_dense(84, 120, **options, name="F6")(x))
        x = x.astype(_at_least_float32(self.dtype))
        distances = jnp.square(x[:, None] - CODES[None]).sum(axis=-1)
        return (distances, outputs) if stages else distances


class ZipNet(nn.Module):
    """LeNet-1989, the zip code network: 16x16 pixels, 12 maps 8x8, 12 maps 4x4, 30 and 10 units.

    Exactly 9,760 parameters: H1 1,068, H2 2,592, H3 5,790, output 310. H1 and H2 are 5x5
    convolutions of stride 2 with a bias for each unit. Padding has the value `background`. A map of
    H2 sees 8 of the 12 maps of H1 (`H2_TABLE`). All units, the output included, are a "scaled
    hyperbolic tangent", here `squash`, whose constants LeCun gave in the same year (Generalization
    and Network Design Strategies): targets are 1 and -1. Initialisation is the paper's: uniform
    within 2.4 / (number of a unit's inputs), also for the biases.

    Stages: H1 [B, 8, 8, 12], H2 [B, 4, 4, 12], H3 [B, 30].

    >>> model, x = ZipNet(), jnp.zeros((2, 16, 16, 1))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 10)

    Attributes:
        num_classes: number of classes. None means that the data fills it in; 0 means no output
            layer, and H3 as the result.
        activation: nonlinearity after H1, H2 and H3, with a linear output. None means the paper's:
            `squash`, after the output too.
        dropout: probability of dropping a unit of H2 while training.
        background: value of the padding of the image and of H1; the paper's is -1.
        kernel_init: initialiser of every kernel, by name (`nets.layers.initialisers`). None means
            the paper's.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    num_classes: int | None = 10
    activation: Activation | None = None
    dropout: float = 0.0
    background: float = -1.0
    kernel_init: KernelInit | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, stages: bool = False
    ) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
        """Maps x [B, 16, 16, 1] to outputs [B, num_classes], float32 at least.

        They lie in +-1.7159, or are logits where `activation` is given. Needs the key `dropout`
        while training if `dropout` is above 0.

        Raises:
            ValueError: x has another size or more than one channel, `dropout` is not in [0, 1) or
                `num_classes` is None.
        """
        _check_size(self, x, 16, channels=1)
        check_head(self)
        activation = self.activation or squash
        options = {"kernel_init": initialiser(self.kernel_init, None)}
        options |= {"dtype": self.dtype, "param_dtype": self.param_dtype}
        conv = functools.partial(TableConv, 12, stride=2, unit_biases=True, **options)
        outputs = {}
        outputs["H1"] = x = activation(conv(name="H1")(_pad_with(x, 2, self.background)))
        outputs["H2"] = x = activation(
            conv(table=H2_TABLE, name="H2")(_pad_with(x, 2, self.background))
        )
        x = nn.Dropout(self.dropout, deterministic=not train)(x.reshape(x.shape[0], -1))
        outputs["H3"] = x = activation(_dense(30, 192, **options, name="H3")(x))
        if self.num_classes:
            options["dtype"] = _at_least_float32(self.dtype)
            x = _dense(self.num_classes, 30, **options, name="output")(x)
            x = squash(x) if self.activation is None else x
        return (x, outputs) if stages else x


class Subsampling(nn.Module):
    """Sums of 2x2 units, times a trainable coefficient for each map, plus a bias (1998).

    >>> block, x = Subsampling(), jnp.zeros((1, 28, 28, 6))
    >>> jax.eval_shape(block.init_with_output, jax.random.key(0), x)[0].shape
    (1, 14, 14, 6)

    Attributes:
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [B, 2H, 2W, C] to [B, H, W, C]."""
        maps = x.shape[3:]
        coefficient = self.param("coefficient", fan_in_uniform(4), maps, self.param_dtype)
        bias = self.param("bias", fan_in_uniform(4), maps, self.param_dtype)
        x, coefficient, bias = promote_dtype(x, coefficient, bias, dtype=self.dtype)
        x = _blocks_2x2(x).sum(axis=(2, 4))
        return x * jnp.broadcast_to(coefficient, x.shape) + jnp.broadcast_to(bias, x.shape)


def _dense(
    features: int, fan_in: int, kernel_init: nn.initializers.Initializer | None, **options: Any
) -> nn.Dense:
    init = fan_in_uniform(fan_in)
    return nn.Dense(features, kernel_init=kernel_init or init, bias_init=init, **options)


def _blocks_2x2(x: jax.Array) -> jax.Array:
    """[B, 2H, 2W, C] -> [B, H, 2, W, 2, C]; pooling these axes is faster on a CPU than a window."""
    batch, height, width, channels = x.shape
    half, two = (height // 2, width // 2), (2, 2)
    observed(Sliding("pooling", (height, width), two, two, ((0, 0),) * 2, (1, 1), half))
    return x.reshape(batch, height // 2, 2, width // 2, 2, channels)


def _pad_with(x: jax.Array, width: int, value: ArrayLike) -> jax.Array:
    pads = ((0, 0), (width, width), (width, width), (0, 0))
    inside = np.pad(np.ones((1, *x.shape[1:3], 1), bool), pads)
    return jnp.where(inside, jnp.pad(x, pads), value)


def _at_least_float32(dtype: DTypeLike) -> DTypeLike:
    return jnp.promote_types(dtype, jnp.float32)


def _check_size(model: nn.Module, x: jax.Array, *sizes: int, channels: int | str = "C") -> None:
    valid = [f"[B, {size}, {size}, {channels}]" for size in sizes]
    size_fits = x.ndim == 4 and x.shape[1] == x.shape[2] and x.shape[1] in sizes
    if not size_fits or channels not in ("C", x.shape[3]):
        raise ValueError(
            f"{type(model).__name__} takes images {' or '.join(valid)}, got {list(x.shape)}"
            f"{channels_hint(x.shape)}"
        )
