"""Parts shared by image classifiers: normalised convolutions, and the classification head."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.conv import HE, Conv
from nets.layers.initialisers import initialiser
from nets.layers.norm import BatchNorm
from nets.layers.pooling import global_average
from nets.types import KernelInit


def conv_and_norm(
    dtype: DTypeLike, param_dtype: DTypeLike, train: bool, kernel_init: KernelInit | None = None
) -> tuple[Callable[..., nn.Module], Callable[..., nn.Module]]:
    """Constructors of a net's convolutions, without bias, and of its batch normalisations.

    `kernel_init` None means `nets.layers.conv.HE`.

    >>> conv, norm = conv_and_norm(jnp.float32, jnp.float32, train=False)
    >>> conv(8, (3, 3)).use_bias
    False
    """
    dtypes = {"dtype": dtype, "param_dtype": param_dtype}
    conv = functools.partial(
        Conv, use_bias=False, kernel_init=initialiser(kernel_init, HE), **dtypes
    )
    return conv, functools.partial(BatchNorm, use_running_average=not train, **dtypes)


def logits(num_classes: int, *, dtype: DTypeLike, **options: Any) -> nn.Dense:
    """The dense layer of the logits; computation dtype float32 at least.

    >>> logits(10, dtype=jnp.bfloat16).dtype
    dtype('float32')
    """
    return nn.Dense(num_classes, dtype=jnp.promote_types(dtype, jnp.float32), **options)


def classification_head(
    model: nn.Module, x: jax.Array, outputs: dict[str, jax.Array], stages: bool
) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
    """The result of a net whose last maps are x: their averages and, if it has classes, the logits.

    Args:
        model: has the fields `num_classes`, `kernel_init`, `dtype` and `param_dtype`; its logits
            layer is "fc".
        x: [B, H, W, C].
        outputs: its stages so far; the stage "features" is added.
        stages: whether to return `(result, stages)`.
    """
    outputs = outputs | {"features": global_average(x)}
    x = outputs["features"]
    if model.num_classes:
        options = {"dtype": model.dtype, "param_dtype": model.param_dtype, "name": "fc"}
        x = logits(model.num_classes, kernel_init=initialiser(model.kernel_init), **options)(x)
    return (x, outputs) if stages else x
