"""NASNet-A: a stack of two kinds of cells found by architecture search.

Zoph, Vasudevan, Shlens and Le, Learning Transferable Architectures for Scalable Image Recognition,
CVPR 2018. Where the paper gives no detail, this is the authors' release (TensorFlow's slim).
"""

import functools
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.checks import check_at_least, check_probability
from nets.layers.classification_head import conv_and_norm, logits
from nets.layers.conv import HE
from nets.layers.conv_norm_act import conv_norm_act
from nets.layers.conv_separable import SeparableConv
from nets.layers.drop_path import drop_rows
from nets.layers.image_checks import check_images
from nets.layers.initialisers import initialiser
from nets.layers.pooling import average_pool, global_average, max_pool
from nets.types import KernelInit, Steps

Operation = Literal["3x3", "5x5", "7x7", "average", "max", "same"]
"""Separable convolution, applied twice; 3x3 pooling; identity."""

Pair = tuple[tuple[int, Operation], tuple[int, Operation]]
"""Two operations whose outputs are added: the state that each reads, and its name."""


class Kind(NamedTuple):
    """The structure of a cell (figure 4).

    State 0 is the output of the previous cell, state 1 that of the cell before it, both with the
    cell's number of channels; each pair makes the next state. The output is the concatenation of
    the states `joined`.
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
    """NASNet-A (N @ F) for images of about 224 x 224; by default the mobile one, 4 @ 1056.

    For three channels and 1,000 classes 5,289,978 parameters and 564 M multiply-adds at 224 px;
    `NASNetLarge`, 6 @ 4032, 88,753,150 and 23.8 G at 331 px. A 3x3 convolution of stride 2, two
    reduction cells, three times N normal cells with a reduction cell between, average, linear
    classifier. Stages at 224 px: conv0 [B, 111, 111, 32], cell_stem_0 [B, 56, 56, 44], cell_stem_1
    [B, 28, 28, 88], cell_0, ... cell_3 [B, 28, 28, 264], reduction_cell_0 [B, 14, 14, 352],
    cell_4, ... cell_11 [B, 7, 7, 1056], features [B, 1056].

    While training, and only with `stages=True`, a model with the auxiliary head also has the stage
    aux1 (above the last cell before the last reduction): logits [B, num_classes], float32 at least,
    for a task to add their loss (in the paper with weight 0.4). `init` always creates the head's
    parameters, which fit only images of the size that `init` was given.

    While training, the output of every operation but "same" is dropped, independently for each row,
    with the probability

        drop_path (c + 1) / cells min(step / drop_path_steps, 1)

    in cell c of all `cells`, counted from 0. `step` counts the calls with train=True; it is an
    int32 in the collection "schedule", which exists if `drop_path` is above 0 and must be mutable
    while training, as "batch_stats".

    Convolutions are initialised as in He et al. 2015 (truncated normal, by fan-out), dense layers
    as LeCun normal.

    >>> model, x = NASNet(cells=1, num_classes=10), jnp.zeros((2, 32, 32, 3))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 10)

    Attributes:
        cells: number N of normal cells in each of the three stages.
        features: channels F of the last cell, a multiple of 96.
        stem: channels of the first convolution.
        skip_reduction: whether state 1 of the first normal cell after a reduction is the
            reduction's state 1 instead of its state 0.
        auxiliary: whether there is the auxiliary head.
        drop_path: probability of dropping in the last cell at the end of the schedule.
        drop_path_steps: training steps over which the probabilities grow.
        dropout: probability of dropping an input of the last layer while training.
        momentum: weight of the old value in the running statistics.
        num_classes: number of classes. None means that the data fills it in; 0 means no output
            layer and no auxiliary head, and `features` as the result.
        kernel_init: initialiser of every kernel, by name (`nets.layers.initialisers`). None means
            those stated above.
        dtype: computation dtype.
        param_dtype: parameter dtype.
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
    kernel_init: KernelInit | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, stages: bool = False
    ) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
        """Maps x [B, H, W, C] to logits [B, num_classes], float32 at least.

        Needs the key `dropout` while training if `dropout` or `drop_path` is above 0.

        Raises:
            ValueError: H or W is below 19, or below 67 where the auxiliary head runs (in `init`,
                and while training with `stages`), or x is not [B, H, W, C]; `features` is not a
                multiple of 96; `cells` or `drop_path_steps` is below 1; `drop_path` is not in
                [0, 1); or `num_classes` is None.
        """
        has_head = self.auxiliary and self.num_classes != 0
        run_head = has_head and (self.is_initializing() or (train and stages))
        check_images(self, x, 67 if run_head else 19)
        self._check()
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        weights = {"kernel_init": initialiser(self.kernel_init), **dtypes}
        conv, norm = conv_and_norm(self.dtype, self.param_dtype, train, self.kernel_init)
        norm = functools.partial(norm, momentum=self.momentum, epsilon=1e-3)
        separable = functools.partial(
            SeparableConv,
            use_bias=False,
            kernel_init=initialiser(self.kernel_init, HE),
            **dtypes,
        )
        outputs, before, rate = {}, None, self._last_rate(train)
        made = {"conv": conv, "norm": norm, "activation": None, "names": ("conv0", "conv0_bn")}
        outputs["conv0"] = x = conv_norm_act(x, self.stem, (3, 3), 2, "VALID", **made)
        stack = list(self._stack())
        for number, (name, kind, width) in enumerate(stack, 1):
            cell_rate = None if rate is None else rate * (number / len(stack))
            cell = Cell(kind, width, conv, separable, norm, name=name)
            outputs[name] = y = cell(x, before, cell_rate)
            if not (self.skip_reduction and name.startswith("reduction")):
                before = x
            x = y
            if run_head and name == f"cell_{2 * self.cells - 1}":
                y = AuxiliaryHead(conv, norm, name="aux1")(x)
                outputs["aux1"] = logits(self.num_classes, **weights, name="aux1_fc")(y)
        outputs["features"] = x = global_average(nn.relu(x))
        if self.num_classes:
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
            x = logits(self.num_classes, **weights, name="last_linear")(x)
        return (x, outputs) if stages else x

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
        """Drop probability of the last cell at this step. None means that nothing is dropped."""
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
            raise ValueError(f"NASNet.features must be a multiple of 96, got {self.features}")
        check_at_least("NASNet.cells", self.cells, 1)
        check_at_least("NASNet.drop_path_steps", self.drop_path_steps, 1)
        check_probability("NASNet.drop_path", self.drop_path)


NASNetMobile = NASNet
"""4 @ 1056, the default."""

NASNetLarge = functools.partial(
    NASNet, cells=6, features=4032, stem=96, skip_reduction=True, drop_path=0.3
)
"""6 @ 4032: 88,753,150 parameters for three channels and 1,000 classes; 23.8 G multiply-adds at
331 px."""


class Cell(nn.Module):
    """A normal or a reduction cell.

    >>> conv, norm = conv_and_norm(jnp.float32, jnp.float32, train=False)
    >>> separable = functools.partial(SeparableConv, use_bias=False)
    >>> cell, x = Cell(REDUCTION, 8, conv, separable, norm), jnp.zeros((1, 8, 8, 8))
    >>> jax.eval_shape(cell.init_with_output, jax.random.key(0), x, None, None)[0].shape
    (1, 4, 4, 32)

    Attributes:
        kind: its structure.
        features: channels F of each of its states.
        conv, separable, norm: make its layers, without bias.
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
        """Maps x [B, H, W, C] to [B, H / strides, W / strides, F * len(joined)], rounded up.

        Args:
            x: output of the previous cell.
            before: output of the cell before it, as high and wide as x or twice that. None means
                that state 1 is x.
            rate: probability of dropping the output of an operation, for each row. None means that
                nothing is dropped.
        """
        states = [self._pointwise(x, "conv_1x1"), self._match(before, x)]
        for i, pair in enumerate(self.kind.pairs):
            sides = zip(("left", "right"), pair, strict=True)
            left, right = (self._apply(f"comb_iter_{i}_{s}", states, *p, rate) for s, p in sides)
            states.append(left + right)
        return jnp.concatenate([states[i] for i in self.kind.joined], axis=-1)

    def _apply(
        self,
        name: str,
        states: list[jax.Array],
        state: int,
        operation: Operation,
        rate: jax.Array | float | None,
    ) -> jax.Array:
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

    def _pointwise(self, x: jax.Array, name: str) -> jax.Array:
        made = {"conv": self.conv, "norm": self.norm, "activation": None}
        return conv_norm_act(nn.relu(x), self.features, **made, names=(name, f"{name}_bn"))

    def _match(self, before: jax.Array | None, x: jax.Array) -> jax.Array:
        """`before` with the height and width of x and the cell's number of channels."""
        if before is None:
            return x
        if before.shape[1:3] == x.shape[1:3]:
            same = before.shape[-1] == self.features
            return before if same else self._pointwise(before, "prev_1x1")
        # even and odd positions; the last odd one may be padding
        even = nn.relu(before)
        odd = jnp.pad(even, ((0, 0), (0, 1), (0, 1), (0, 0)))[:, 1:, 1:]
        half = functools.partial(self.conv, self.features // 2, (1, 1), 2)
        halves = [half(name="path1_conv")(even), half(name="path2_conv")(odd)]
        return self.norm(name="final_path_bn")(jnp.concatenate(halves, axis=-1))


class AuxiliaryHead(nn.Module):
    """Features of the auxiliary classifier: average pooling, 1x1 to 128, all positions to 768.

    >>> conv, norm = conv_and_norm(jnp.float32, jnp.float32, train=False)
    >>> block, x = AuxiliaryHead(conv, norm), jnp.zeros((1, 14, 14, 32))
    >>> jax.eval_shape(block.init_with_output, jax.random.key(0), x)[0].shape
    (1, 768)

    Attributes:
        conv, norm: make its layers, without bias.
    """

    conv: Callable[..., nn.Module]
    norm: Callable[..., nn.Module]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [B, H, W, C], H and W at least 5, to [B, 768]."""
        block = functools.partial(conv_norm_act, conv=self.conv, norm=self.norm)
        x = block(average_pool(nn.relu(x), 5, 3), 128, names=("proj", "bn0"))
        x = block(x, 768, x.shape[1:3], padding="VALID", names=("conv", "bn1"))
        return x.reshape(len(x), -1)
