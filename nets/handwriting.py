"""Handwriting, predicted point by point, and written for a given text."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jax.typing import DTypeLike

from nets.layers.checks import check_at_least
from nets.layers.gradients import clip_gradient
from nets.layers.mixture_density import output_size
from nets.layers.recurrent import Recurrent
from nets.layers.recurrent_cell import add_bias
from nets.layers.sequence import output_layer
from nets.lstm import LSTM, LSTMCarry


class WindowCarry(NamedTuple):
    """The carry of the first layer where it has a window.

    Attributes:
        cell: the cell's own.
        position: [B, K], kappa, in characters.
        window: [B, C], w.
    """

    cell: LSTMCarry
    position: jax.Array
    window: jax.Array


Carry = tuple


class Handwriting(nn.Module):
    """Recurrent layers that predict the next point of a pen (Graves 2013, sections 4 and 5).

    Layer n reads the point and layer n - 1, and the output y reads all layers (equations 1 to 6):

        h^1_t = LSTM(x_t),  h^n_t = LSTM([x_t, h^{n-1}_t]),  y_t = sum_n h^n_t W_n + b

    y is a mixture density (`nets.layers.mixture_density.mixture`) of the point after x_t. With a
    `window`, every layer also reads the text through it (equations 46 to 51), the first that of the
    previous step:

        [a', b', k']_t = h^1_t W + b,  a = exp(a'),  b = exp(b'),  kappa_t = kappa_{t-1} + exp(k')
        phi(t, u) = sum_k a_k exp(-b_k (kappa_k - u)^2),  w_t = sum_u phi(t, u) c_u

    Gradients are clipped as published: by y to `clip`, by the inputs of the gates to `cell.clip`,
    both for a loss that is summed over the points.

    Stages: layer_0, layer_1, ... [B, T, H], and "window" [B, T, U], phi.

    >>> model, x = Handwriting(cell=LSTM(16, peepholes=True)), jnp.zeros((2, 9, 3))
    >>> key = jax.random.key(0)
    >>> jax.eval_shape(lambda: model.init_with_output(key, x, train=False))[0][0].shape
    (2, 9, 121)

    Attributes:
        cell: the cell of every layer.
        layers: number of layers.
        mixtures: number M of Gaussians.
        window: number K of Gaussians of the window over the text. 0 means the prediction network,
            which reads no text.
        vocab_size: number C of different symbols of a text, with that of padding. None means that
            the data fills it in.
        pens: number P of bits of a point. None means that the data fills it in; in a model by
            itself, 1.
        advance: characters that the window moves on at a step before training, exp of the bias of
            k'.
        clip: bound of the derivatives of the loss by y. None means that they are not clipped.
        dtype: computation dtype.
        param_dtype: parameter dtype, and dtype of the carry.
    """

    cell: LSTM = LSTM(400, forget_bias=0.0, peepholes=True, clip=10.0)
    layers: int = 3
    mixtures: int = 20
    window: int = 0
    vocab_size: int | None = None
    pens: int | None = None
    advance: float = 0.04
    clip: float | None = 100.0
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        check_at_least("Handwriting.layers", self.layers, 1)
        check_at_least("Handwriting.mixtures", self.mixtures, 1)
        check_at_least("Handwriting.window", self.window, 0)
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        if self.window:
            self.first = self.cell.clone()
            size = (self.cell.output_features, 3 * self.window)
            glorot = nn.initializers.glorot_uniform()
            self.window_kernel = self.param("window_kernel", glorot, size, self.param_dtype)
            self.window_bias = self.param(
                "window_bias", self._window_bias, size[1:], self.param_dtype
            )
        self.recurrent = [
            Recurrent(self.cell, **dtypes) for _ in range(self.layers - bool(self.window))
        ]
        self.output = output_layer(self, output_size(self.mixtures, self.pens or 1))

    def __call__(
        self,
        inputs: jax.Array,
        text: jax.Array | None = None,
        carry: Carry | None = None,
        *,
        train: bool,
        stages: bool = False,
    ) -> tuple[jax.Array, Carry] | tuple[jax.Array, Carry, dict[str, jax.Array]]:
        """Outputs [B, T, 6 M + P], float32 at least, of the points after inputs, and the carry.

        Args:
            inputs: points [B, T, 2 + P].
            text: ids [B, U] (int), then 0 for one position at least; for a window alone.
            carry: the carry before the first point; None means zeros.
            train: has no effect.
            stages: whether the stages are returned too.

        Raises:
            ValueError: a point has another number of entries, or there is a window and no text.
        """
        memory, before = self.start(text, len(inputs))
        return self._run(memory, before if carry is None else carry, inputs, stages)

    def start(self, text: jax.Array | None, rows: int) -> tuple[Any, Carry]:
        """The symbols [B, U, C] of a text [B, U], () without a window, and the first carry.

        Raises:
            ValueError: there is a window and no text.
        """
        if not self.window:
            return (), self.initial_carry(rows)
        if text is None:
            raise ValueError("text must be given to a model with a window, got None")
        symbols = jax.nn.one_hot(text, self.vocab_size, dtype=self.dtype)  # 0 is no symbol
        return symbols.at[..., 0].set(0), self.initial_carry(rows)

    def step(
        self, memory: Any, carry: Carry, points: jax.Array
    ) -> tuple[Carry, jax.Array, jax.Array]:
        """Carry, outputs [N, 6 M + P] and window weights [N, U] after points [N, 2 + P]."""
        outputs, carry, stages = self._run(memory, carry, points[:, None], stages=True)
        weights = stages["window"][:, 0] if self.window else jnp.zeros((len(points), 0))
        return carry, outputs[:, 0], weights

    @nn.nowrap
    def initial_carry(self, rows: int) -> Carry:
        """The carry before the first point of so many rows: zeros."""
        cell = self.cell.clone(parent=None)
        zeros = [
            jax.tree.map(lambda a: a.astype(self.param_dtype), cell.initial_carry((rows, 1)))
            for _ in range(self.layers)
        ]
        carry: list[Any] = [((zero,),) for zero in zeros]
        if self.window:
            position = jnp.zeros((rows, self.window), self.param_dtype)
            window = jnp.zeros((rows, self.vocab_size), self.param_dtype)
            carry[0] = WindowCarry(zeros[0], position, window)
        return tuple(carry)

    def _run(self, memory: Any, carry: Carry, x: jax.Array, stages: bool) -> tuple:
        if x.ndim != 3 or x.shape[-1] != 2 + (self.pens or 1):
            raise ValueError(
                f"inputs must be [B, T, {2 + (self.pens or 1)}], got shape {list(x.shape)}"
            )
        x, after, hidden, named = x.astype(self.dtype), [], [], {}
        if self.window:
            first, h, window, named["window"] = self._first(memory, carry[0], x)
            after.append(first)
            hidden.append(h)
            x = jnp.concatenate([x, window], axis=-1)
        for layer, before in zip(self.recurrent, carry[bool(self.window) :], strict=True):
            h, last = layer(jnp.concatenate([x, *hidden[-1:]], axis=-1), before)
            after.append(last)
            hidden.append(h)
        y = self.output(jnp.concatenate(hidden, axis=-1))
        y = y if self.clip is None else clip_gradient(y, self.clip)
        if not stages:
            return y, tuple(after)
        return y, tuple(after), named | {f"layer_{i}": h for i, h in enumerate(hidden)}

    def _first(self, symbols: jax.Array, carry: WindowCarry, x: jax.Array) -> tuple:
        """The first layer and its window: carry, h [B, T, H], w [B, T, C] and phi [B, T, U]."""
        cell, size = self.cell.clone(parent=None), x.shape[-1]
        weights = self.first.weights((len(x), size + symbols.shape[-1]), self.param_dtype)
        weights = {name: a.astype(self.dtype) for name, a in weights.items()}
        of_point, of_window = jnp.split(weights["kernel"], [size])
        kernel, bias = (a.astype(self.dtype) for a in (self.window_kernel, self.window_bias))
        z = cell.project(weights | {"kernel": of_point}, x)  # [B, T, 4H], outside the scan
        places = jnp.arange(1, symbols.shape[1] + 1, dtype=jnp.float32)[None, None]  # u

        def step(carry, z):
            z = z + carry.window.astype(z.dtype) @ of_window
            new = cell.update(weights, carry.cell, z)
            exps = jnp.exp(add_bias(new.h.astype(z.dtype) @ kernel, bias).astype(jnp.float32))
            height, width, moved = jnp.split(exps[..., None], 3, axis=1)  # [B, K, 1]
            position = carry.position.astype(jnp.float32)[..., None] + moved
            phi = (height * jnp.exp(-width * jnp.square(position - places))).sum(1)  # [B, U]
            window = jnp.einsum("bu,buc->bc", phi.astype(symbols.dtype), symbols)
            after = WindowCarry(new, position[..., 0], window)
            after = jax.tree.map(lambda a: a.astype(self.param_dtype), after)
            return after, (new.h.astype(self.dtype), window, phi)

        carry, outputs = lax.scan(step, carry, z.swapaxes(0, 1))
        return carry, *(a.swapaxes(0, 1) for a in outputs)

    @nn.nowrap
    def _window_bias(self, key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike) -> jax.Array:
        return jnp.zeros(shape, dtype).at[2 * self.window :].set(jnp.log(self.advance))


def written(weights: jax.Array, lengths: jax.Array) -> jax.Array:
    """Whether windows [N, U] are past the end of texts of these lengths [N] (section 5.3).

    phi(t, length + 1) > phi(t, u) for every u up to the length

    >>> written(jnp.array([[0.1, 0.2, 0.3]]), jnp.array([2])).tolist()
    [True]
    """
    end = jnp.take_along_axis(weights, lengths[:, None], axis=1)
    within = jnp.arange(weights.shape[1])[None] < lengths[:, None]
    return jnp.all(~within | (weights < end), axis=1)
