"""Parts shared by models that answer questions about images."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from nets.layers.checks import check_at_least, check_probability
from nets.layers.linear import dense
from nets.layers.recurrent import Recurrent
from nets.layers.sequence import output_layer, source_mask
from nets.lstm import LSTM
from nets.types import Activation


def check_questions(model: Any, images: jax.Array, questions: jax.Array) -> None:
    """Refuses a model without answers, words or units, and questions that do not fit the images.

    Args:
        model: has the fields `num_classes`, `vocab_size`, `embedding`, `features`, `hidden` and
            `dropout`.
        images: [B, H, W, C].
        questions: [B, T] or [B, Q, T].

    Raises:
        ValueError: with what was given and what is valid.
    """
    name = type(model).__name__
    for field in ("num_classes", "vocab_size", "embedding", "features"):
        check_at_least(f"{name}.{field}", getattr(model, field), 1)
    check_at_least(f"{name}.hidden", min(model.hidden, default=1), 1)
    check_probability(f"{name}.dropout", model.dropout)
    if questions.ndim not in (2, 3) or len(questions) != len(images):
        raise ValueError(
            f"questions must be [{len(images)}, T] or [{len(images)}, Q, T] for images "
            f"{list(images.shape)}, got {list(questions.shape)}"
        )


def model_dense(model: Any, features: int, name: str) -> nn.Dense:
    """A linear layer of the model's dtypes, inside a compact method."""
    return dense(features, model.dtype, model.param_dtype, name=name)


def embedded(model: Any, questions: jax.Array) -> jax.Array:
    """Words [B, ..., T, embedding] of questions [B, ..., T], inside a compact method."""
    dtypes = {"dtype": model.dtype, "param_dtype": model.param_dtype}
    return nn.Embed(model.vocab_size, model.embedding, name="words", **dtypes)(questions)


def read_questions(
    model: Any, x: jax.Array, questions: jax.Array, layers: int, bidirectional: bool = False
) -> tuple[jax.Array, list[tuple]]:
    """The states of an LSTM that reads questions, inside a compact method.

    Args:
        model: has the fields `features`, `dtype` and `param_dtype`.
        x: [B, ..., T, D], the words.
        questions: [B, ..., T]; a row is read up to its first 0.
        layers: number of layers.
        bidirectional: whether half of the features are of a direction that ends at the first word.

    Returns:
        h [B, ..., T, features] of the last layer, 0 after the last word; and of each layer c and h
        [B, ..., features] at the end.
    """
    recurrent = Recurrent(
        LSTM(model.features // (1 + bidirectional)),
        layers,
        bidirectional=bidirectional,
        dtype=model.dtype,
        param_dtype=model.param_dtype,
        name="question",
    )
    rows = questions.reshape(-1, questions.shape[-1])
    h, carry = recurrent(x.reshape(*rows.shape, -1), lengths=source_mask(rows).sum(1))
    shape = (*questions.shape[:-1], model.features)
    states = [jax.tree.map(lambda *a: jnp.concatenate(a, -1), *directions) for directions in carry]
    last = [tuple(a.astype(model.dtype).reshape(shape) for a in (s.c, s.h)) for s in states]
    return h.astype(model.dtype).reshape(*questions.shape, model.features), last


def answer(model: Any, x: jax.Array, train: bool, activation: Activation = nn.tanh) -> jax.Array:
    """Logits [B, ..., num_classes] of x [B, ..., D], by hidden layers with dropout.

    Args:
        model: has the fields `hidden`, `dropout`, `num_classes`, `dtype` and `param_dtype`.
        x: question and image, joined.
        train: whether units are dropped.
        activation: nonlinearity of the hidden layers.
    """
    drop = nn.Dropout(model.dropout, deterministic=not train)
    for i, units in enumerate(model.hidden, 1):
        x = activation(model_dense(model, units, f"hidden_{i}")(drop(x)))
    return output_layer(model, model.num_classes, name="output")(drop(x))
