"""Long short-term memory."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.gradients import clip_gradient
from nets.layers.recurrent_cell import (
    Cell,
    add_bias,
    chrono_bias,
    gates,
    glorot_gates,
    layer_norm,
    matmul,
    norm_weights,
    orthogonal_gates,
    per_unit_scale,
    tanh,
)


class LSTMCarry(NamedTuple):
    """Carry of `LSTM`: the cell state c [B, H] and the output h [B, H or P]."""

    c: jax.Array
    h: jax.Array


class LSTM(Cell):
    """LSTM cell with forget gates (Hochreiter and Schmidhuber 1997; Gers et al. 2000).

        i, f, g, o = x_t W + h_{t-1} R + b
        c_t = sigmoid(f) * c_{t-1} + sigmoid(i) * tanh(g)
        h_t = sigmoid(o) * tanh(c_t)

    By default it is that of Zaremba et al. 2014. W is `kernel` [D, 4H], R `recurrent_kernel`
    [H, 4H], b `bias` [4H], a single bias (cuDNN and torch add two); their columns are the gates in
    the order i f g o. Each gate of W is initialised as in Glorot and Bengio 2010, each of R
    orthogonal, b to zero except the forget gate's. Variants combine freely:

    `peepholes` adds V_i * c_{t-1} to i, V_f * c_{t-1} to f and V_o * c_t to o (Graves 2013,
    equations 7 to 11); V is `peephole` [3, H], initialised to zero.

    `coupled` replaces sigmoid(i) by 1 - sigmoid(f) (Greff et al. 2017, CIFG): the columns are f g
    o, V is [2, H].

    `projection` makes h_t = (sigmoid(o) * tanh(c_t)) P (Sak et al. 2014), and R [P, 4H]; P is
    `projection` [H, P], initialised Glorot uniform. A step is then two matmuls.

    `layer_norm` is that of Ba et al. 2016, equations 20 to 22, each LN over the whole row and with
    its own scale and bias, `norm_x`, `norm_h` [4H] and `norm_c` [H]:

        i, f, g, o = LN(x_t W) + LN(h_{t-1} R) + b
        h_t = sigmoid(o) * tanh(LN(c_t))

    Peepholes read c before normalisation, and are added after the LN of the gates.

    >>> from nets.layers.recurrent import Recurrent
    >>> layer, x = Recurrent(LSTM(16, peepholes=True)), jnp.zeros((2, 5, 8))
    >>> jax.eval_shape(layer.init_with_output, jax.random.key(0), x)[0][0].shape
    (2, 5, 16)

    Attributes:
        features: number of units H.
        forget_bias: initial bias of the forget gate (Jozefowicz et al. 2015), as a part of b.
        peepholes: whether the gates read the cell state.
        coupled: whether the input gate is one minus the forget gate.
        projection: size P of the output. None means H, without a projection.
        layer_norm: whether the inputs of the gates and c_t are normalised.
        chrono: maximum time lag T_max in steps for chrono initialisation (Tallec and Ollivier
            2018), instead of `forget_bias`: b_f = log u, b_i = -b_f, u uniform in [1, T_max - 1].
            None means `forget_bias`.
        clip: bound of the derivatives of the loss by the inputs of the gates, i f g o above, each
            clipped to [-clip, clip] in every step of the backward pass (Graves 2013, section 2.1).
            None means that they are not.
    """

    forget_bias: float = 1.0
    peepholes: bool = False
    coupled: bool = False
    projection: int | None = None
    layer_norm: bool = False
    chrono: int | None = None
    clip: float | None = None

    @nn.compact
    def weights(self, shape: tuple[int, ...], dtype: DTypeLike) -> dict[str, jax.Array]:
        """Declares the weights.

        Raises:
            ValueError: `chrono` is below 2.
        """
        h, size, parts = self.features, self.output_features, 3 if self.coupled else 4
        orthogonal = functools.partial(orthogonal_gates, parts=parts)
        weights = {
            "kernel": self.param("kernel", glorot_gates(parts), (shape[-1], parts * h), dtype),
            "recurrent_kernel": self.param(
                "recurrent_kernel", orthogonal, (size, parts * h), dtype
            ),
            "bias": self.param("bias", self.initial_bias, (parts * h,), dtype),
        }
        if self.peepholes:
            zeros = nn.initializers.zeros
            weights["peephole"] = self.param("peephole", zeros, (parts - 1, h), dtype)
        if self.projection is not None:
            glorot = nn.initializers.glorot_uniform()
            weights["projection"] = self.param("projection", glorot, (h, size), dtype)
        if self.layer_norm:
            weights |= norm_weights(self, "norm_x", parts * h, dtype)
            weights |= norm_weights(self, "norm_h", parts * h, dtype)
            weights |= norm_weights(self, "norm_c", h, dtype)
        return weights

    @nn.nowrap
    def project(self, weights: dict, x: jax.Array) -> jax.Array:
        return add_bias(
            layer_norm(weights, "norm_x", matmul(x, weights["kernel"])), weights["bias"]
        )

    @nn.nowrap
    def combine(self, weights: dict, carry: LSTMCarry, z: jax.Array, x: jax.Array) -> LSTMCarry:
        """The next carry, before the projection, from z = h_{t-1} R and the projected input."""
        h, sigmoids = self.features, "s" if self.coupled else "ss"
        a = x + layer_norm(weights, "norm_h", z)
        if self.clip is not None:
            a = clip_gradient(a, self.clip)
        if not (self.peepholes or self.layer_norm):
            return LSTMCarry(*_plain(self.coupled, a, carry.c))
        if self.peepholes:
            *early, late = weights["peephole"]  # [H] each
            peep = jnp.concatenate(
                [per_unit_scale(carry.c.astype(a.dtype), v) for v in early], axis=-1
            )
            *i, f = gates(a[..., : -2 * h] + peep, sigmoids)
            g = tanh(a[..., -2 * h : -h])
        else:
            *i, f, g, o = gates(a, sigmoids + "ts")
        c = _state(i, f, g, carry.c)
        if self.peepholes:
            (o,) = gates(a[..., -h:] + per_unit_scale(c.astype(a.dtype), late), "s")
        return LSTMCarry(c, o * tanh(layer_norm(weights, "norm_c", c)))

    @nn.nowrap
    def update(self, weights: dict, carry: LSTMCarry, x: jax.Array) -> LSTMCarry:
        new = super().update(weights, carry, x)
        if self.projection is None:
            return new
        return new._replace(h=new.h.astype(x.dtype) @ weights["projection"])

    @nn.nowrap
    def initial_carry(self, shape: tuple[int, ...]) -> LSTMCarry:
        sizes = self.features, self.output_features
        return LSTMCarry(*(jnp.zeros((*shape[:-1], size)) for size in sizes))

    @property
    def output_features(self) -> int:
        return self.features if self.projection is None else self.projection

    @property
    def fusable(self) -> bool:
        return self.projection is None

    @property
    def cudnn(self) -> bool:
        variants = self.peepholes, self.coupled, self.projection, self.layer_norm
        return not any(variants) and self.clip is None

    @nn.nowrap
    def initial_bias(self, key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike) -> jax.Array:
        """Initialiser of b, its gates in the order [i] f g o."""
        h, zeros = self.features, jnp.zeros(shape, dtype)
        forget = slice(shape[0] - 3 * h, shape[0] - 2 * h)
        if self.chrono is None:
            return zeros.at[forget].set(self.forget_bias)
        lags = chrono_bias(key, (h,), dtype, self.chrono)
        bias = zeros.at[forget].set(lags)
        return bias if self.coupled else bias.at[:h].set(-lags)


def _state(i: list[jax.Array], f: jax.Array, g: jax.Array, c: jax.Array) -> jax.Array:
    return f * c + (i[0] if i else 1 - f) * g


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _plain(coupled: bool, a: jax.Array, c: jax.Array) -> tuple[jax.Array, jax.Array]:
    """c_t and h_t from the inputs of the gates, [B, 4H] or [B, 3H], and c_{t-1}.

    Its derivative saves [B, 6H] for the backward pass; those of the single operations would save
    [B, 11H].
    """
    return _plain_jvp(coupled, (a, c), None)[0]


@_plain.defjvp
def _plain_jvp(coupled, primals, tangents):
    a, c = primals
    *i, f, g, o = gates(a, "sts" if coupled else "ssts")
    after = _state(i, f, g, c)
    t = jnp.tanh(after)
    if tangents is None:
        return (after, o * t), None
    by_f, by_g = (c - g, 1 - f) if coupled else (c, i[0])
    slopes = [g * i[0] * (1 - i[0])] if i else []
    slopes += [by_f * f * (1 - f), by_g * (1 - g * g), t * o * (1 - o)]
    products = jnp.concatenate(slopes, axis=-1) * tangents[0]
    first, *early, late = jnp.split(products, len(slopes), axis=-1)
    d_after = sum(early, first) + f * tangents[1]
    return (after, o * t), (d_after, late + o * (1 - t * t) * d_after)
