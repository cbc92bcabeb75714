"""FractalNet: a deep network by self-similarity, without residuals.

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

from nets.layers.classification_head import logits
from nets.layers.conv import Conv
from nets.layers.conv_norm_act import ConvNormAct
from nets.layers.image_checks import check_images
from nets.layers.norm import BatchNorm
from nets.layers.pooling import global_average, max_pool


class FractalNet(nn.Module):
    """Fractal blocks one after the other; as it stands FractalNet-20 for images of 32 x 32.

    A block is f_C of the rule

        f_1(z) = conv(z),   f_{C+1}(z) = join(f_C(f_C(z)), conv(z)),

    conv being a 3x3 convolution, batch normalisation and ReLU, join the mean of all that comes
    together at one depth. Its columns are chains of 1, 2, 4, ... 2^(C-1) convolutions. A block ends
    in 2x2 max pooling of stride 2, which comes before its last join as in the authors' code
    (gustavla/fractalnet). A linear classifier sees the average over all places, of which there is
    one at 32 px.

    For three channels the convolutions have 33,698,880 weights, as in that code; the paper's table
    has 38.6 M for the net. Those of block 1 are column1_0, column2_0, column2_1, column3_0 and so
    on, each with `conv` and `bn`. Stages: layer1 [B, H/2, W/2, 64], layer2, ... what each block
    gives, features [B, 512].

    Drop-path, while training, is drawn for a batch as a whole. In a share of the batches it is
    global: one column, drawn for all of the net, is alone alive at every join that it comes to.
    In the others it is local: a join drops each of its inputs with probability `drop_path`, but
    never all of them: where all would be, one stays, drawn evenly. A join is the mean of what is
    alive. All columns are computed in any case, and their running statistics updated.

    Kernels start Xavier, as Caffe has it: uniform, of variance 1 / fan-in.

    The stem of large images is that of a ResNet: 7x7 convolution of 64 channels and stride 2, batch
    normalisation and ReLU (all together "stem"), 3x3 max pooling of stride 2.

    Attributes:
        features: channels of each block.
        stem: "imagenet": that of large images, a stage "stem" too; "cifar": none.
        columns: number of columns C; each block is 2^(C-1) convolutions deep.
        dropout: probability, for each block, of dropping a value that one of its convolutions
            gives, before the normalisation; the paper's are 0, 0.1, 0.2, 0.3, 0.4.
        drop_path: probability of local dropping; the paper's is 0.15. 0 is without any drop-path.
        global_share: share of the batches whose drop-path is global.
        column: the one column that is computed, 1 (the shortest) to C; None is all of them. The
            variables of the whole net serve any of its columns, and are what `init` gives for one,
            too.
        num_classes: number of outputs. None: to be filled in from the data. 0: no classifier, the
            result is `features`.
        dtype: what it computes in.
        param_dtype: what it stores.
    """

    features: tuple[int, ...] = (64, 128, 256, 512, 512)
    stem: Literal["imagenet", "cifar"] = "cifar"
    columns: int = 3
    dropout: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0)
    drop_path: float = 0.0
    global_share: float = 0.5
    column: int | None = None
    num_classes: int | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, stages: bool = False
    ) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
        """Maps x [B, H, W, C] to logits [B, num_classes], float32 at least.

        Needs the key `dropout` while training, if there is `dropout` or `drop_path`.

        Raises:
            ValueError: x has other axes or fewer than 2^blocks pixels along one behind the stem;
                there is no such stem or column, or no column at all; there are not as many
                dropouts as blocks; a probability is out of range; or `num_classes` is None.
        """
        places = 2 ** len(self.features)  # that the stem has to leave along each axis
        check_images(self, x, places if self.stem == "cifar" else 4 * (places - 1) + 1)
        self._check()
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        xavier = nn.initializers.variance_scaling(1.0, "fan_in", "uniform")
        conv = functools.partial(Conv, use_bias=False, kernel_init=xavier, **dtypes)
        norm = functools.partial(BatchNorm, use_running_average=not train, **dtypes)
        made = {"conv": conv, "norm": norm}
        dropping = train and self.drop_path > 0 and self.column is None
        chosen = self._chosen() if dropping else None
        whole = self.column is None or self.is_initializing()
        columns = range(1, self.columns + 1) if whole else (self.column,)
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
            x = logits(self.num_classes, kernel_init=xavier, **dtypes, name="fc")(x)
        return (x, outputs) if stages else x

    def _chosen(self) -> jax.Array:
        """The column that this batch keeps alone, from 1; 0 where dropping is local."""
        coin, which = jax.random.split(self.make_rng("dropout"))
        column = jax.random.randint(which, (), 1, self.columns + 1)
        return jnp.where(jax.random.bernoulli(coin, self.global_share), column, 0)

    def _check(self) -> None:
        if self.stem not in ("imagenet", "cifar"):
            raise ValueError(f"FractalNet.stem is imagenet or cifar, not {self.stem}")
        if self.columns < 1:
            raise ValueError(f"FractalNet.columns={self.columns}: valid are numbers from 1 up")
        if self.column is not None and not 1 <= self.column <= self.columns:
            raise ValueError(
                f"FractalNet.column={self.column}: valid are None and 1 to {self.columns}"
            )
        if len(self.dropout) != len(self.features):
            raise ValueError(
                f"FractalNet.dropout={self.dropout}: one is needed for each of the "
                f"{len(self.features)} blocks"
            )
        for name in ("drop_path", "global_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"FractalNet.{name}={getattr(self, name)}: valid is 0 to 1")


class FractalBlock(nn.Module):
    """f_C of `FractalNet`, with its pooling.

    Attributes:
        layer: makes a convolution with what goes with it.
        columns: number of columns C.
        computed: those that are computed, of 1 to C.
        drop_path: probability of local dropping.
    """

    layer: Callable[..., nn.Module]
    columns: int
    computed: tuple[int, ...]
    drop_path: float

    @nn.compact
    def __call__(self, x: jax.Array, chosen: jax.Array | None) -> jax.Array:
        """Maps x [B, H, W, C] to [B, H/2, W/2, features], rounded down.

        `chosen` is the column that is kept alone, 0 for local dropping, None for no dropping.
        """
        depth = 2 ** (self.columns - 1)
        heads = dict.fromkeys(self.computed, x)
        for row in range(1, depth + 1):
            ended = [c for c in heads if row % 2 ** (self.columns - c) == 0]
            for c in ended:
                place = row // 2 ** (self.columns - c) - 1
                heads[c] = self.layer(name=f"column{c}_{place}")(heads[c])
                heads[c] = max_pool(heads[c], 2) if row == depth else heads[c]
            if len(ended) > 1:
                joined = self._join([heads[c] for c in ended], ended, chosen)
                heads |= dict.fromkeys(ended, joined)
        return heads[self.computed[0]]

    def _join(self, inputs: list[jax.Array], columns: list[int], chosen: jax.Array | None):
        """The mean of what is alive: the column kept alone, if it ends here, or `survivors`."""
        weights = jnp.full(len(inputs), 1 / len(inputs))
        if chosen is not None:
            alive = survivors(self.make_rng("dropout"), len(inputs), self.drop_path)
            alone = jnp.array(columns) == chosen
            alive = jnp.where(alone.any(), alone, alive)
            weights = alive / alive.sum()
        return sum(w.astype(x.dtype) * x for w, x in zip(weights, inputs, strict=True))


def survivors(key: jax.Array, inputs: int, rate: float) -> jax.Array:
    """Which inputs of a join local dropping leaves alive, [inputs] of bool; at least one."""
    coins, last = jax.random.split(key)
    alive = jax.random.bernoulli(coins, 1 - rate, (inputs,))
    spared = jnp.arange(inputs) == jax.random.randint(last, (), 0, inputs)
    return jnp.where(alive.any(), alive, spared)


FractalNet20 = FractalNet

FractalNet40 = functools.partial(FractalNet, columns=4)
"""Four columns, 40 layers deep, of FractalNet-20's channels."""

FractalNet34 = functools.partial(
    FractalNet, features=(128, 256, 512, 1024), stem="imagenet", columns=4, dropout=(0.0,) * 4
)
"""For images of 224 x 224, four columns: the paper's net with ResNet-34's first and last layer."""
