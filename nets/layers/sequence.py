"""Parts of sequence models: symbols in, their targets shifted, the output layer."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.linear import dense
from nets.layers.recurrent import Recurrent


def one_hot(inputs: jax.Array, vocab_size: int | None, dtype: DTypeLike) -> jax.Array:
    """Symbols (int) [...] as one-hot vectors [..., vocab_size]; numbers [..., D] as they are.

    Raises:
        ValueError: inputs are symbols and vocab_size is None.
    """
    if not jnp.issubdtype(inputs.dtype, jnp.integer):
        return inputs.astype(dtype)
    if vocab_size is None:
        raise ValueError(f"vocab_size must be a number for symbols ({inputs.dtype}), got None")
    return jax.nn.one_hot(inputs, vocab_size, dtype=dtype)


def source_mask(inputs: jax.Array) -> jax.Array:
    """Mask [B, S] (bool) of the symbols of inputs [B, S] before each row's first 0."""
    return jnp.cumsum(inputs == 0, axis=1) == 0


def shift_right(targets: jax.Array) -> jax.Array:
    """Targets [B, U] one step later, with 0 as the first symbol: the decoder's inputs."""
    return jnp.pad(targets[:, :-1], ((0, 0), (1, 0)))


def output_layer(model: Any, features: int, **options: Any) -> nn.Dense:
    """The linear layer after a model's recurrent layers, computed in float32 at least.

    Args:
        model: has the fields `dtype` and `param_dtype`.
        features: number of outputs.
        options: other fields of the layer, such as its name.
    """
    dtype = jnp.promote_types(model.dtype, jnp.float32)
    return dense(features, dtype, model.param_dtype, **options)


def recurrent_layers(model: Any, **options: Any) -> Recurrent:
    """The recurrent layers that a model's fields describe.

    Args:
        model: has the fields `cell`, `layers`, `dropout`, `backend`, `dtype` and `param_dtype`.
        options: other fields of the layers, such as `bidirectional`.
    """
    fields = ("cell", "layers", "dropout", "backend", "dtype", "param_dtype")
    return Recurrent(**{name: getattr(model, name) for name in fields}, **options)
