"""NASNet-A: two cells found by search, stacked.

Zoph, Vasudevan, Shlens and Le, Learning Transferable Architectures for Scalable Image Recognition,
CVPR 2018. Where the paper says nothing it is as in its authors' release (TensorFlow's slim).
"""

import functools
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.checks import check_probability
from nets.layers.classification_head import conv_and_norm, logits
from nets.layers.conv import HE
from nets.layers.conv_norm_act import conv_norm_act
from nets.layers.conv_separable import SeparableConv
from nets.layers.drop_path import drop_rows
from nets.layers.image_checks import check_images
from nets.layers.pooling import average_pool, global_average, max_pool
from nets.types import Steps

Operation = Literal["3x3", "5x5", "7x7", "average", "max", "same"]
"""Separable convolution, twice; 3x3 pooling; nothing."""

Pair = tuple[tuple[int, Operation], tuple[int, Operation]]
"""What two operations that are added take, and which they are."""


class Kind(NamedTuple):
    """A cell as data (figure 4).

    State 0 is what the cell before gave, state 1 what the one before that gave, both with the
    cell's number of channels; each pair makes the next state. `joined` states are the output.
    """

    pairs: tuple[Pair, ...]
    joined: tuple[int, ...]
    strides: int  # of operations on states 0 and 1


NORMAL = Kind(
    (
        ((0, "5x5"), (1, "3x3")),
        ((1, "5x5"), (1, "3x3")),
        ((0, "average"), (1, "same")),
        ((1, "average"), (1, "average")),
        ((0, "3x3"), (0, "same")),
    ),
    (1, 2, 3, 4, 5, 6),
    1,
)

REDUCTION = Kind(
    (
        ((0, "5x5"), (1, "7x7")),
        ((0, "max"), (1, "7x7")),
        ((0, "average"), (1, "5x5")),
        ((3, "same"), (2, "average")),
        ((2, "3x3"), (0, "max")),
    ),
    (3, 4, 5, 6),
    2,
)


class NASNet(nn.Module):
    """NASNet-A (N @ F) for images of about 224 x 224; as it stands the mobile one, 4 @ 1056.

    For three channels and 1,000 classes 5,289,978 parameters and 564 M multiply-adds at 224 px;
    `NASNetLarge`, 6 @ 4032, 88,753,150 and 23.8 G at 331 px. A 3x3 convolution of stride 2, two
    reduction cells, three times N normal cells with a reduction cell between, average, linear
    classifier. Stages at 224 px: conv0 [B, 111, 111, 32], cell_stem_0 [B, 56, 56, 44], cell_stem_1
    [B, 28, 28, 88], cell_0, ... cell_3 [B, 28, 28, 264], reduction_cell_0 [B, 14, 14, 352],
    cell_4, ... cell_11 [B, 7, 7, 1056], features [B, 1056].

    While training, and only if stages are asked for, a model with the auxiliary head also has the
    stage aux1 (above the last cell before the last reduction): logits [B, num_classes], float32 at
    least, for a task to add their loss (published: 0.4 times). The head's parameters are there
    from the start, and fit images of that size alone.

    While training, the result of any operation but "same" is dropped, for each row by itself, with
    the probability

        drop_path (c + 1) / cells min(step / drop_path_steps, 1)

    in cell c of them all. `step` counts the calls with train=True; it is an int32 in the collection
    "schedule", there if `drop_path` is, and has to be mutable as "batch_stats" has.

    Convolutions start as He et al. 2015 (normal, by fan-out, truncated), dense layers LeCun normal.

    Attributes:
        cells: number N of normal cells in each of the three stages.
        features: channels F of the last cell, a multiple of 96.
        stem: channels of the first convolution.
        skip_reduction: whether the first normal cell behind a reduction takes, as its state 1, what
            the reduction took as such, instead of what it took as state 0.
        auxiliary: whether there is the auxiliary head.
        drop_path: probability of dropping at the end of training in the last cell.
        drop_path_steps: training steps after which the probabilities grow no more.
        dropout: probability of dropping an input of the last layer while training.
        momentum: share of the old in the running statistics.
        num_classes: number of outputs. None: to be filled in from the data. 0: there are neither
            outputs nor an auxiliary head, the result is `features`.
        dtype: what it computes in.
        param_dtype: what it stores.
    """

    cells: int = 4
    features: int = 1056
    stem: int = 32
    skip_reduction: bool = False
    auxiliary: bool = False
    drop_path: float = 0.0
    drop_path_steps: Steps = 250_000
    dropout: float = 0.5
    momentum: float = 0.9997
    num_classes: int | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, stages: bool = False
    ) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
        """Maps x [B, H, W, C] to logits [B, num_classes], float32 at least.

        Needs the key `dropout` while training, if there is any or `drop_path`.

        Raises:
            ValueError: H or W is below 19, or below 67 where the auxiliary head runs (in `init`,
                and while training with `stages`), or x has other axes;
                96 does not divide `features`; `cells` or `drop_path_steps` is below 1; `drop_path`
                is not in [0, 1); or `num_classes` is None.
        """
        headed = self.auxiliary and self.num_classes != 0
        speaking = headed and (self.is_initializing() or (train and stages))
        check_images(self, x, 67 if speaking else 19)
        self._check()
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        conv, norm = conv_and_norm(self.dtype, self.param_dtype, train)
        norm = functools.partial(norm, momentum=self.momentum, epsilon=1e-3)
        separable = functools.partial(SeparableConv, use_bias=False, kernel_init=HE, **dtypes)
        seen, before, rate = {}, None, self._last_rate(train)
        made = {"conv": conv, "norm": norm, "activation": None, "names": ("conv0", "conv0_bn")}
        seen["conv0"] = x = conv_norm_act(x, self.stem, (3, 3), 2, "VALID", **made)
        stack = list(self._stack())
        for number, (name, kind, width) in enumerate(stack, 1):
            dropped = None if rate is None else rate * (number / len(stack))
            cell = Cell(kind, width, conv, separable, norm, name=name)
            seen[name] = y = cell(x, before, dropped)
            if not (self.skip_reduction and name.startswith("reduction")):
                before = x
            x = y
            if speaking and name == f"cell_{2 * self.cells - 1}":
                y = AuxiliaryHead(conv, norm, name="aux1")(x)
                seen["aux1"] = logits(self.num_classes, **dtypes, name="aux1_fc")(y)
        seen["features"] = x = global_average(nn.relu(x))
        if self.num_classes:
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
            x = logits(self.num_classes, **dtypes, name="last_linear")(x)
        return (x, seen) if stages else x

    def _stack(self) -> Iterator[tuple[str, Kind, int]]:
        """Name, kind and number of channels of every cell, in their order."""
        width = self.features // 24
        yield "cell_stem_0", REDUCTION, width // 4
        yield "cell_stem_1", REDUCTION, width // 2
        for stage in range(3):
            if stage:
                yield f"reduction_cell_{stage - 1}", REDUCTION, width * 2**stage
            for cell in range(stage * self.cells, (stage + 1) * self.cells):
                yield f"cell_{cell}", NORMAL, width * 2**stage

    def _last_rate(self, train: bool) -> jax.Array | None:
        """With what probability the last cell drops at this step, None if nothing is dropped."""
        if not self.drop_path:
            return None
        step = self.variable("schedule", "step", jnp.zeros, (), jnp.int32)
        if not train:
            return None
        now = step.value
        if not self.is_initializing():
            step.value = now + 1
        return self.drop_path * jnp.minimum(now / self.drop_path_steps, 1)

    def _check(self) -> None:
        if self.features < 96 or self.features % 96:
            raise ValueError(f"NASNet.features={self.features}: valid are multiples of 96")
        for field in ("cells", "drop_path_steps"):
            if getattr(self, field) < 1:
                raise ValueError(f"NASNet.{field}={getattr(self, field)}: 1 is the least")
        check_probability("NASNet.drop_path", self.drop_path)


NASNetMobile = NASNet
"""4 @ 1056, as it stands."""

NASNetLarge = functools.partial(
    NASNet, cells=6, features=4032, stem=96, skip_reduction=True, drop_path=0.3
)
"""6 @ 4032: 88,753,150 parameters for three channels and 1,000 classes; 23.8 G multiply-adds at
331 px."""


class Cell(nn.Module):
    """A cell of either kind.

    Attributes:
        kind: what it is made of.
        features: channels F of each of its states.
        conv, separable, norm: what make its parts, without bias.
    """

    kind: Kind
    features: int
    conv: Callable[..., nn.Module]
    separable: Callable[..., nn.Module]
    norm: Callable[..., nn.Module]

    @nn.compact
    def __call__(
        self, x: jax.Array, before: jax.Array | None, rate: jax.Array | float | None
    ) -> jax.Array:
        """Maps x [B, H, W, C] to [B, H / strides, W / strides, F len(joined)], rounded up.

        Args:
            x: what the cell before gave.
            before: what the one before that gave, of as many places or twice as many along each
                axis; None: state 1 is x as it is.
            rate: probability of dropping what an operation gives, for each row; None drops nothing.
        """
        states = [self._pointwise(x, "conv_1x1"), self._fitted(before, x)]
        for i, pair in enumerate(self.kind.pairs):
            sides = zip(("left", "right"), pair, strict=True)
            left, right = (self._applied(f"comb_iter_{i}_{s}", states, *p, rate) for s, p in sides)
            states.append(left + right)
        return jnp.concatenate([states[i] for i in self.kind.joined], axis=-1)

    def _applied(self, name, states, state, operation, rate):
        x, strides = states[state], self.kind.strides if state < 2 else 1
        if operation == "same":
            return x
        if operation == "average":
            y = average_pool(x, 3, strides, "SAME")
        elif operation == "max":
            y = max_pool(x, 3, strides, "SAME")
        else:
            window = tuple(map(int, operation.split("x")))
            y = x
            for i in (1, 2):
                y = self.separable(
                    self.features, window, strides if i == 1 else 1, name=f"{name}_separable_{i}"
                )(nn.relu(y))
                y = self.norm(name=f"{name}_bn_sep_{i}")(y)
        return y if rate is None else drop_rows(self.make_rng("dropout"), y, rate)

    def _pointwise(self, x, name):
        made = {"conv": self.conv, "norm": self.norm, "activation": None}
        return conv_norm_act(nn.relu(x), self.features, **made, names=(name, f"{name}_bn"))

    def _fitted(self, before, x):
        """`before` with as many places as x, and the cell's channels."""
        if before is None:
            return x
        if before.shape[1:3] == x.shape[1:3]:
            fits = before.shape[-1] == self.features
            return before if fits else self._pointwise(before, "prev_1x1")
        # every other place, and those between, of which the last is beyond the image
        even = nn.relu(before)
        odd = jnp.pad(even, ((0, 0), (0, 1), (0, 1), (0, 0)))[:, 1:, 1:]
        half = functools.partial(self.conv, self.features // 2, (1, 1), 2)
        halves = [half(name="path1_conv")(even), half(name="path2_conv")(odd)]
        return self.norm(name="final_path_bn")(jnp.concatenate(halves, axis=-1))


class AuxiliaryHead(nn.Module):
    """What the auxiliary classifier sees: averages, 1x1 to 128 channels, all places to 768.

    Attributes:
        conv, norm: what make its parts, without bias.
    """

    conv: Callable[..., nn.Module]
    norm: Callable[..., nn.Module]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [B, H, W, C], of at least 5x5 places, to [B, 768]."""
        block = functools.partial(conv_norm_act, conv=self.conv, norm=self.norm)
        x = block(average_pool(nn.relu(x), 5, 3), 128, names=("proj", "bn0"))
        x = block(x, 768, x.shape[1:3], padding="VALID", names=("conv", "bn1"))
        return x.reshape(len(x), -1)
