"""cuDNN's LSTM, for weights and carries as `nets.lstm.LSTM` has them."""

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

    cuDNN takes no row of no steps: such a row is run for one, and given back its carry and zeros.

    Args:
        weights: kernel [D, 4H], recurrent_kernel [H, 4H], bias [4H]; gates i f g o.
        c, h: the carry before the first step, [B, H].
        x: [T, B, D].
        valid: [T, B] (bool), the steps that each row has, without a gap; all if none.

    Returns:
        c and h after each row's last step, and outputs [T, B, H], zero where not valid.
    """
    from jax.experimental import rnn  # takes time, and only a GPU has a use for it

    steps, batch, inputs = x.shape
    features = h.shape[-1]
    given = jnp.full(batch, steps) if valid is None else valid.sum(0)
    if valid is not None:  # cuDNN takes padding behind, a reversed row has it in front
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
        jnp.maximum(given, 1).astype(jnp.int32),
        input_size=inputs,
        hidden_size=features,
        num_layers=1,
        dropout=0.0,
        bidirectional=False,
    )
    some = (given > 0)[:, None]
    c, h = jnp.where(some, last_c[0], c), jnp.where(some, last_h[0], h)
    y = jnp.where(some[None], y.swapaxes(0, 1), 0)
    return c, h, y if valid is None else jnp.take_along_axis(y, back[..., None], axis=0)
