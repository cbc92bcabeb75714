"""Inception-v3: GoogLeNet with large windows factorised into small ones.

Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, Rethinking the Inception Architecture for Computer
Vision, CVPR 2016.
"""

import functools
from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.classification_head import conv_and_norm, logits
from nets.layers.conv_norm_act import ConvNormAct
from nets.layers.image_checks import check_images
from nets.layers.initialisers import LECUN, initialiser
from nets.layers.pooling import average_pool, global_average, max_pool
from nets.types import KernelInit


class Unit(NamedTuple):
    """A convolution with batch normalisation and ReLU; padded if its stride is 1."""

    name: str
    features: int
    window: tuple[int, int] = (1, 1)
    strides: int = 1


Step = Unit | Literal["average", "max"] | tuple[Unit, ...]
"""A convolution; 3x3 average (stride 1) or max (stride 2) pooling; parallel convolutions."""

Branches = tuple[tuple[Step, ...], ...]
"""The parallel branches of a block, each a chain of steps."""


def mixed_a(pool: int) -> Branches:
    """Figure 5, with a 5x5 convolution instead of the single 3x3, as in the authors' release."""
    return (
        (Unit("branch1x1", 64),),
        (Unit("branch5x5_1", 48), Unit("branch5x5_2", 64, (5, 5))),
        (
            Unit("branch3x3dbl_1", 64),
            Unit("branch3x3dbl_2", 96, (3, 3)),
            Unit("branch3x3dbl_3", 96, (3, 3)),
        ),
        ("average", Unit("branch_pool", pool)),
    )


def mixed_b() -> Branches:
    """Figure 10: halves height and width, by convolution and pooling in parallel."""
    return (
        (Unit("branch3x3", 384, (3, 3), 2),),
        (
            Unit("branch3x3dbl_1", 64),
            Unit("branch3x3dbl_2", 96, (3, 3)),
            Unit("branch3x3dbl_3", 96, (3, 3), 2),
        ),
        ("max",),
    )


def mixed_c(inner: int) -> Branches:
    """Figure 6: 7x7 factorised into 1x7 and 7x1, with `inner` channels between them."""
    return (
        (Unit("branch1x1", 192),),
        (
            Unit("branch7x7_1", inner),
            Unit("branch7x7_2", inner, (1, 7)),
            Unit("branch7x7_3", 192, (7, 1)),
        ),
        (
            Unit("branch7x7dbl_1", inner),
            Unit("branch7x7dbl_2", inner, (7, 1)),
            Unit("branch7x7dbl_3", inner, (1, 7)),
            Unit("branch7x7dbl_4", inner, (7, 1)),
            Unit("branch7x7dbl_5", 192, (1, 7)),
        ),
        ("average", Unit("branch_pool", 192)),
    )


def mixed_d() -> Branches:
    """Halves height and width, as `mixed_b` does."""
    return (
        (Unit("branch3x3_1", 192), Unit("branch3x3_2", 320, (3, 3), 2)),
        (
            Unit("branch7x7x3_1", 192),
            Unit("branch7x7x3_2", 192, (1, 7)),
            Unit("branch7x7x3_3", 192, (7, 1)),
            Unit("branch7x7x3_4", 192, (3, 3), 2),
        ),
        ("max",),
    )


def mixed_e() -> Branches:
    """Figure 7: 1x3 and 3x1 in parallel."""
    return (
        (Unit("branch1x1", 320),),
        (
            Unit("branch3x3_1", 384),
            (Unit("branch3x3_2a", 384, (1, 3)), Unit("branch3x3_2b", 384, (3, 1))),
        ),
        (
            Unit("branch3x3dbl_1", 448),
            Unit("branch3x3dbl_2", 384, (3, 3)),
            (Unit("branch3x3dbl_3a", 384, (1, 3)), Unit("branch3x3dbl_3b", 384, (3, 1))),
        ),
        ("average", Unit("branch_pool", 192)),
    )


MIXED = {
    "Mixed_5b": mixed_a(32),
    "Mixed_5c": mixed_a(64),
    "Mixed_5d": mixed_a(64),
    "Mixed_6a": mixed_b(),
    "Mixed_6b": mixed_c(128),
    "Mixed_6c": mixed_c(160),
    "Mixed_6d": mixed_c(160),
    "Mixed_6e": mixed_c(192),
    "Mixed_7a": mixed_d(),
    "Mixed_7b": mixed_e(),
    "Mixed_7c": mixed_e(),
}
"""The blocks in their order."""


class InceptionV3(nn.Module):
    """Inception-v3, with torchvision's names.

    For three channels and 1,000 classes 23,834,568 parameters, 27,161,264 with its auxiliary head;
    5.713 G multiply-adds at 299 px, without it. Stages at 299 px, after the activation:
    Conv2d_1a_3x3 [B, 149, 149, 32], Conv2d_2a_3x3 [B, 147, 147, 32], Conv2d_2b_3x3
    [B, 147, 147, 64], maxpool1 [B, 73, 73, 64], Conv2d_3b_1x1 [B, 73, 73, 80], Conv2d_4a_3x3
    [B, 71, 71, 192], maxpool2 [B, 35, 35, 192], Mixed_5b [B, 35, 35, 256], Mixed_5c and Mixed_5d
    [B, 35, 35, 288], Mixed_6a to Mixed_6e [B, 17, 17, 768], Mixed_7a [B, 8, 8, 1280], Mixed_7b and
    Mixed_7c [B, 8, 8, 2048].

    While training, and only with `stages=True`, a model with the auxiliary head also has the stage
    aux1 (above Mixed_6e): logits [B, num_classes], float32 at least, for a task to add their loss.
    `init` always creates the head's parameters, `AuxLogits`.

    Kernels of convolutions are initialised as in He et al. 2015 (normal, by fan-out), those of
    dense layers LeCun normal; the paper gives no initialisation, torchvision's is normal with
    standard deviation 0.1.

    >>> model, x = InceptionV3(num_classes=10), jnp.zeros((2, 75, 75, 3))
    >>> jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))[0].shape
    (2, 10)

    Attributes:
        num_classes: number of classes. None means that the data fills it in; 0 means no output
            layer and no auxiliary head, and the averages of Mixed_7c, [B, 2048], as the result.
        auxiliary: whether there is the auxiliary head.
        dropout: probability of dropping an input of the last layer while training.
        kernel_init: initialiser of every kernel, by name (`nets.layers.initialisers`). None means
            those stated above.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    num_classes: int | None = None
    auxiliary: bool = False
    dropout: float = 0.5
    kernel_init: KernelInit | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, stages: bool = False
    ) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
        """Maps x [B, H, W, C] to logits [B, num_classes], float32 at least.

        Needs the key `dropout` while training if `dropout` is above 0.

        Raises:
            ValueError: H or W is below 75, or below 299 where the auxiliary head runs (in `init`,
                and while training with `stages`), or x is not [B, H, W, C]; or `num_classes` is
                None.
        """
        has_head = self.auxiliary and self.num_classes != 0
        run_head = has_head and (self.is_initializing() or (train and stages))
        check_images(self, x, 299 if run_head else 75)
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        weights = {"kernel_init": initialiser(self.kernel_init), **dtypes}
        conv, norm = conv_and_norm(self.dtype, self.param_dtype, train, self.kernel_init)
        norm = functools.partial(norm, epsilon=1e-3)
        unit = functools.partial(ConvNormAct, conv=conv, norm=norm)
        valid = functools.partial(unit, padding="VALID")
        outputs = {}
        outputs["Conv2d_1a_3x3"] = x = valid(32, (3, 3), strides=2, name="Conv2d_1a_3x3")(x)
        outputs["Conv2d_2a_3x3"] = x = valid(32, (3, 3), name="Conv2d_2a_3x3")(x)
        outputs["Conv2d_2b_3x3"] = x = unit(64, (3, 3), name="Conv2d_2b_3x3")(x)
        outputs["maxpool1"] = x = max_pool(x, 3, 2)
        outputs["Conv2d_3b_1x1"] = x = unit(80, name="Conv2d_3b_1x1")(x)
        outputs["Conv2d_4a_3x3"] = x = valid(192, (3, 3), name="Conv2d_4a_3x3")(x)
        outputs["maxpool2"] = x = max_pool(x, 3, 2)
        for name, branches in MIXED.items():
            outputs[name] = x = Mixed(branches, unit, name=name)(x)
            if run_head and name == "Mixed_6e":
                head = AuxiliaryHead(self.num_classes, unit, **weights, name="AuxLogits")
                outputs["aux1"] = head(x)
        x = global_average(x)
        if self.num_classes:
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
            x = logits(self.num_classes, **weights, name="fc")(x)
        return (x, outputs) if stages else x


class Mixed(nn.Module):
    """Parallel branches whose outputs are concatenated.

    >>> conv, norm = conv_and_norm(jnp.float32, jnp.float32, train=False)
    >>> unit = functools.partial(ConvNormAct, conv=conv, norm=norm)
    >>> block, x = Mixed(mixed_a(32), unit), jnp.zeros((1, 8, 8, 192))
    >>> jax.eval_shape(block.init_with_output, jax.random.key(0), x)[0].shape
    (1, 8, 8, 256)

    Attributes:
        branches: the steps of each branch.
        unit: makes a `ConvNormAct`.
    """

    branches: Branches
    unit: Callable[..., nn.Module]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [B, H, W, C] to the concatenated channels of the branches, [B, H', W', F]."""
        return jnp.concatenate([functools.reduce(self._step, b, x) for b in self.branches], -1)

    def _step(self, x: jax.Array, step: Step) -> jax.Array:
        if step == "average":
            return average_pool(x, 3, 1, padding=1, count_padding=True)
        if step == "max":
            return max_pool(x, 3, 2)
        if not isinstance(step, Unit):
            return jnp.concatenate([self._step(x, fork) for fork in step], -1)
        name, features, window, strides = step
        padding = "SAME" if strides == 1 else "VALID"
        return self.unit(features, window, strides, padding, name=name)(x)


class AuxiliaryHead(nn.Module):
    """The auxiliary classifier on Mixed_6e: average pooling, 1x1 to 128, 5x5 to 768, logits.

    >>> conv, norm = conv_and_norm(jnp.float32, jnp.float32, train=False)
    >>> unit = functools.partial(ConvNormAct, conv=conv, norm=norm)
    >>> block, x = AuxiliaryHead(10, unit), jnp.zeros((1, 17, 17, 768))
    >>> jax.eval_shape(block.init_with_output, jax.random.key(0), x)[0].shape
    (1, 10)

    Attributes:
        num_classes: number of outputs.
        unit: makes a `ConvNormAct`.
        kernel_init: initialiser of the dense layer's kernel.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    num_classes: int
    unit: Callable[..., nn.Module]
    kernel_init: nn.initializers.Initializer = LECUN
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [B, H, W, C], H and W at least 17, to logits, float32 at least."""
        x = self.unit(128, name="conv0")(average_pool(x, 5, 3))
        x = global_average(self.unit(768, (5, 5), padding="VALID", name="conv1")(x))
        options = {"dtype": self.dtype, "param_dtype": self.param_dtype, "name": "fc"}
        return logits(self.num_classes, kernel_init=self.kernel_init, **options)(x)
