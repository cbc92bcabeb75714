"""cuDNN's LSTM, with the weights and the carry of `nets.lstm.LSTM`."""

import jax
import jax.numpy as jnp


def lstm(
    weights: dict[str, jax.Array],
    c: jax.Array,
    h: jax.Array,
    x: jax.Array,
    valid: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """One direction of one layer, through `jax.experimental.rnn`; on a GPU only, float32 only.

    cuDNN needs at least one step per row: a row without steps is run for one step, and its result
    is replaced by the initial carry and zeros.

    Args:
        weights: kernel [D, 4H], recurrent_kernel [H, 4H], bias [4H]; gates i f g o.
        c, h: the carry before the first step, [B, H].
        x: [T, B, D].
        valid: [T, B] (bool), the steps of each row that are not padding, contiguous; None means
            all.

    Returns:
        c and h after each row's last step, and outputs [T, B, H], zero where not valid.
    """
    from jax.experimental import rnn  # slow to import, and used on a GPU only

    steps, batch, inputs = x.shape
    features = h.shape[-1]
    lengths = jnp.full(batch, steps) if valid is None else valid.sum(0)
    if valid is not None:  # cuDNN needs padding at the end; reversed rows have it at the start
        first = jnp.argmax(valid, axis=0)[None]
        order = (jnp.arange(steps)[:, None] + first) % steps  # [T, B]
        back = (jnp.arange(steps)[:, None] - first) % steps
        x = jnp.take_along_axis(x, order[..., None], axis=0)
    bias = weights["bias"]
    parts = (weights["kernel"].T, weights["recurrent_kernel"].T, bias, jnp.zeros_like(bias))
    y, last_h, last_c = rnn.lstm(
        x.swapaxes(0, 1),
        h[None],
        c[None],
        jnp.concatenate([part.ravel() for part in parts]),
        jnp.maximum(lengths, 1).astype(jnp.int32),
        input_size=inputs,
        hidden_size=features,
        num_layers=1,
        dropout=0.0,
        bidirectional=False,
    )
    nonempty = (lengths > 0)[:, None]
    c, h = jnp.where(nonempty, last_c[0], c), jnp.where(nonempty, last_h[0], h)
    y = jnp.where(nonempty[None], y.swapaxes(0, 1), 0)
    return c, h, y if valid is None else jnp.take_along_axis(y, back[..., None], axis=0)
