"""What classifiers of images have in common: normalised convolutions, and how they end."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.conv import HE, Conv
from nets.layers.norm import BatchNorm
from nets.layers.pooling import global_average


def conv_and_norm(
    dtype: DTypeLike, param_dtype: DTypeLike, train: bool
) -> tuple[Callable[..., nn.Module], Callable[..., nn.Module]]:
    """What makes the convolutions, without bias, and the batch normalisations of a net."""
    dtypes = {"dtype": dtype, "param_dtype": param_dtype}
    conv = functools.partial(Conv, use_bias=False, kernel_init=HE, **dtypes)
    return conv, functools.partial(BatchNorm, use_running_average=not train, **dtypes)


def logits(num_classes: int, *, dtype: DTypeLike, **options) -> nn.Dense:
    """A dense layer that computes in float32 at least."""
    return nn.Dense(num_classes, dtype=jnp.promote_types(dtype, jnp.float32), **options)


def classification_head(
    model: nn.Module, x: jax.Array, outputs: dict[str, jax.Array], stages: bool
) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
    """What a net returns that ends in the maps x: average and, unless it has no classes, "fc".

    Args:
        model: has the fields `num_classes`, `dtype` and `param_dtype`.
        x: [B, H, W, C].
        outputs: its stages so far.
        stages: whether they are returned, too.
    """
    outputs = outputs | {"features": global_average(x)}
    x = outputs["features"]
    if model.num_classes:
        dtypes = {"dtype": model.dtype, "param_dtype": model.param_dtype}
        x = logits(model.num_classes, **dtypes, name="fc")(x)
    return (x, outputs) if stages else x
