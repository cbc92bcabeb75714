"""FractalNet: a deep network of self-similar blocks, without residual connections.

Larsson, Maire and Shakhnarovich, FractalNet: Ultra-Deep Neural Networks without Residuals, ICLR
2017.
"""

import functools
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.checks import check_at_least, check_choice
from nets.layers.classification_head import conv_and_norm, logits
from nets.layers.conv_norm_act import ConvNormAct
from nets.layers.image_checks import check_images
from nets.layers.initialisers import initialiser
from nets.layers.pooling import global_average, max_pool
from nets.types import KernelInit

Stem = Literal["imagenet", "cifar"]


class FractalNet(nn.Module):
    """A chain of fractal blocks; by default FractalNet-20 for images of 32 x 32.

    A block is f_C of the rule

        f_1(z) = conv(z),   f_{C+1}(z) = join(f_C(f_C(z)), conv(z)),

    where conv is a 3x3 convolution, batch normalisation and ReLU, and join the mean of the columns
    that end at one depth. The columns are chains of 1, 2, 4, ... 2^(C-1) convolutions. A block ends
    in 2x2 max pooling of stride 2, which comes before its last join as in the authors' code
    (gustavla/fractalnet). A linear classifier reads the average over all positions, of which there
    is one at 32 px.

    For three channels the convolutions have 33,698,880 weights, as in that code; the paper's table
    gives 38.6 M for the whole network. Those of block 1 are column1_0, column2_0, column2_1,
    column3_0 and so on, each with `conv` and `bn`. Stages: layer1 [B, H/2, W/2, 64], layer2, ...,
    the outputs of the blocks; features [B, 512].

    Drop-path, while training, is sampled once for the whole batch. A fraction `global_share` of the
    batches has global drop-path: one column, the same in all blocks, is the only input left at
    every join that it reaches. The others have local drop-path: a join drops each of its inputs
    with probability `drop_path`; if all would be dropped, one stays, drawn uniformly. A join is the
    mean of the inputs that are left. All columns are computed in any case, and update their running
    statistics.

    Kernels are initialised as Caffe's Xavier: uniform with variance 1 / fan-in.

    The stem for large images is ResNet's: a 7x7 convolution of 64 channels and stride 2, batch
    normalisation, ReLU and 3x3 max pooling of stride 2.

    >>> model, x = FractalNet(num_classes=10), jnp.zeros((2, 32, 32, 3))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 10)

    Attributes:
        features: channels of each block.
        stem: imagenet is the stem for large images, which is also a stage "stem"; cifar is no stem.
        columns: number of columns C; each block is 2^(C-1) convolutions deep.
        dropout: for each block, probability of dropping an output of its convolutions, before the
            normalisation; the paper's are 0, 0.1, 0.2, 0.3, 0.4.
        drop_path: probability of local drop-path; the paper's is 0.15. 0 means no drop-path, local
            or global.
        global_share: fraction of the batches whose drop-path is global.
        column: the only column that is computed, 1 (the shortest) to C. None means all columns.
            Variables are those of the whole network in either case.
        num_classes: number of classes. None means that the data fills it in; 0 means no classifier,
            and `features` as the result.
        kernel_init: initialiser of every kernel, by name (`nets.layers.initialisers`). None means
            those stated above.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    features: tuple[int, ...] = (64, 128, 256, 512, 512)
    stem: Stem = "cifar"
    columns: int = 3
    dropout: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0)
    drop_path: float = 0.0
    global_share: float = 0.5
    column: int | None = None
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
            ValueError: x is not [B, H, W, C] or has fewer than 2^blocks pixels along an axis after
                the stem; `stem`, `columns` or `column` is out of range; the numbers of dropouts and
                blocks differ; a probability is out of range; or `num_classes` is None.
        """
        minimum = 2 ** len(self.features)  # height and width after the stem
        check_images(self, x, minimum if self.stem == "cifar" else 4 * (minimum - 1) + 1)
        self._check()
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        caffe = nn.initializers.variance_scaling(1.0, "fan_in", "uniform")
        kernel_init = initialiser(self.kernel_init, caffe)
        conv, norm = conv_and_norm(self.dtype, self.param_dtype, train, self.kernel_init)
        made = {"conv": functools.partial(conv, kernel_init=kernel_init), "norm": norm}
        dropping = train and self.drop_path > 0 and self.column is None
        chosen = self._chosen() if dropping else None
        every = self.column is None or self.is_initializing()
        columns = range(1, self.columns + 1) if every else (self.column,)
        outputs = {}
        if self.stem == "imagenet":
            stem = ConvNormAct(64, (7, 7), 2, 3, **made, name="stem")
            outputs["stem"] = x = max_pool(stem(x), 3, 2, 1)
        for i, (features, rate) in enumerate(zip(self.features, self.dropout, strict=True), 1):
            drop = functools.partial(nn.Dropout, rate, deterministic=not train)
            layer = functools.partial(ConvNormAct, features, (3, 3), **made, drop=drop)
            block = FractalBlock(
                layer, self.columns, tuple(columns), self.drop_path, name=f"block{i}"
            )
            outputs[f"layer{i}"] = x = block(x, chosen)
        outputs["features"] = x = global_average(x)
        if self.num_classes:
            x = logits(self.num_classes, kernel_init=kernel_init, **dtypes, name="fc")(x)
        return (x, outputs) if stages else x

    def _chosen(self) -> jax.Array:
        """The only column that is left in this batch, from 1; 0 for local drop-path."""
        coin, which = jax.random.split(self.make_rng("dropout"))
        column = jax.random.randint(which, (), 1, self.columns + 1)
        return jnp.where(jax.random.bernoulli(coin, self.global_share), column, 0)

    def _check(self) -> None:
        check_choice("FractalNet.stem", self.stem, Stem)
        check_at_least("FractalNet.columns", self.columns, 1)
        if self.column is not None and not 1 <= self.column <= self.columns:
            raise ValueError(
                f"FractalNet.column must be None or from 1 to {self.columns}, got {self.column}"
            )
        if len(self.dropout) != len(self.features):
            raise ValueError(
                "FractalNet.dropout must have one probability for each of the "
                f"{len(self.features)} blocks, got {self.dropout}"
            )
        for name, value in (("drop_path", self.drop_path), ("global_share", self.global_share)):
            if not 0 <= value <= 1:
                raise ValueError(f"FractalNet.{name} must be in [0, 1], got {value}")


class FractalBlock(nn.Module):
    """A fractal block, f_C of `FractalNet`, with its pooling.

    >>> conv, norm = conv_and_norm(jnp.float32, jnp.float32, train=False)
    >>> layer = functools.partial(ConvNormAct, 16, (3, 3), conv=conv, norm=norm)
    >>> block, x = FractalBlock(layer, 3, (1, 2, 3), 0.0), jnp.zeros((1, 8, 8, 3))
    >>> jax.eval_shape(block.init_with_output, jax.random.key(0), x, None)[0].shape
    (1, 4, 4, 16)

    Attributes:
        layer: makes a convolution with normalisation and ReLU.
        columns: number of columns C.
        computed: the columns that are computed, of 1 to C.
        drop_path: probability of local drop-path.
    """

    layer: Callable[..., nn.Module]
    columns: int
    computed: tuple[int, ...]
    drop_path: float

    @nn.compact
    def __call__(self, x: jax.Array, chosen: jax.Array | None) -> jax.Array:
        """Maps x [B, H, W, C] to [B, H/2, W/2, features], rounded down.

        `chosen` is the only column that is left, 0 for local drop-path; None means no drop-path.
        """
        depth = 2 ** (self.columns - 1)
        heads = dict.fromkeys(self.computed, x)
        for row in range(1, depth + 1):
            ending = [c for c in heads if row % 2 ** (self.columns - c) == 0]
            for c in ending:
                position = row // 2 ** (self.columns - c) - 1
                heads[c] = self.layer(name=f"column{c}_{position}")(heads[c])
                heads[c] = max_pool(heads[c], 2) if row == depth else heads[c]
            if len(ending) > 1:
                joined = self._join([heads[c] for c in ending], ending, chosen)
                heads |= dict.fromkeys(ending, joined)
        return heads[self.computed[0]]

    def _join(
        self, inputs: list[jax.Array], columns: list[int], chosen: jax.Array | None
    ) -> jax.Array:
        """The mean of the chosen column, if it ends here, else of the `survivors`."""
        weights = jnp.full(len(inputs), 1 / len(inputs))
        if chosen is not None:
            left = survivors(self.make_rng("dropout"), len(inputs), self.drop_path)
            alone = jnp.array(columns) == chosen
            left = jnp.where(alone.any(), alone, left)
            weights = left / left.sum()
        return sum(w.astype(x.dtype) * x for w, x in zip(weights, inputs, strict=True))


def survivors(key: jax.Array, inputs: int, rate: float) -> jax.Array:
    """Mask [inputs] (bool) of the inputs of a join that local drop-path leaves; at least one."""
    coins, last = jax.random.split(key)
    left = jax.random.bernoulli(coins, 1 - rate, (inputs,))
    spared = jnp.arange(inputs) == jax.random.randint(last, (), 0, inputs)
    return jnp.where(left.any(), left, spared)


FractalNet20 = FractalNet

FractalNet40 = functools.partial(FractalNet, columns=4)
"""Four columns, 40 layers deep, of FractalNet-20's channels."""

FractalNet34 = functools.partial(
    FractalNet, features=(128, 256, 512, 1024), stem="imagenet", columns=4, dropout=(0.0,) * 4
)
"""For images of 224 x 224, four columns: with the first and last layer of ResNet-34."""
