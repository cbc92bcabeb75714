"""The bi-axial network: recurrent over time for every key, then over the keys of a frame."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax
from jax.typing import ArrayLike, DTypeLike

from nets.gru import GRU
from nets.layers.checks import check_probability
from nets.layers.recurrent import Recurrent
from nets.layers.sequence import output_layer
from nets.lstm import LSTM
from nets.piano_roll import check_keys, draw_keys


class BiaxialCarry(NamedTuple):
    """The carry over time.

    Attributes:
        layers: of the time-axis layers, arrays [B, keys, ...].
        frame: [B] int32, frames since the piece began.
    """

    layers: Any
    frame: jax.Array


class Biaxial(nn.Module):
    """Johnson's network for polyphonic music (Johnson 2015, "Composing music with recurrent neural
    networks"; Johnson 2017).

    1. Over time, for every key k with the same weights, on what surrounds the key in frame t:

           h_{t, k} = time layers over t (k's position, its pitch class as one of twelve, the keys
           from an octave below to an octave above it, how many keys of each pitch class sound,
           counted from k's own, and where in the bar the frame is)

    2. Over the keys, from low to high, for every frame with the same weights:

           o_{t, k} = note layers over k (h_{t, k}, x_{t+1, k-1})
           p(x_{t+1, k} = 1 | x_{<= t}, x_{t+1, < k}) = sigmoid(o_{t, k} v + c)

    so the keys of a frame depend on each other, and a piece moved by some keys has nearly the same
    probabilities. Of the original, that of which keys are struck anew and its output are left out:
    a piano roll does not tell. Dropout acts on the output of each stack.

    >>> model, x = Biaxial(time=LSTM(8), notes=LSTM(8)), jnp.zeros((2, 9, 88))
    >>> key = jax.random.key(0)
    >>> jax.eval_shape(lambda: model.init_with_output(key, x, x, train=False))[0][0].shape
    (2, 9, 88)

    Attributes:
        keys: number of keys.
        time: the cell of the time-axis layers.
        notes: the cell of the note-axis layers.
        time_layers: number of time-axis layers.
        note_layers: number of note-axis layers.
        lowest: pitch of the lowest key, as of MIDI: 21 is the A of a piano.
        bar: frames in a bar.
        dropout: probability of dropping a unit while training.
        dtype: computation dtype.
        param_dtype: parameter dtype, and dtype of the carry.
    """

    keys: int = 88
    time: LSTM | GRU = LSTM(300)
    notes: LSTM | GRU = LSTM(100)
    time_layers: int = 2
    note_layers: int = 2
    lowest: int = 21
    bar: int = 16
    dropout: float = 0.0
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        check_probability("Biaxial.dropout", self.dropout)
        self.over_time, self.over_notes = self._stack("time"), self._stack("notes")
        self.output = output_layer(self, 1)
        self.drop = nn.Dropout(self.dropout)

    def __call__(
        self,
        inputs: jax.Array,
        targets: jax.Array,
        carry: BiaxialCarry | None = None,
        reset: jax.Array | None = None,
        *,
        train: bool,
    ) -> tuple[jax.Array, BiaxialCarry]:
        """Logits [B, T, keys], float32 at least, of the frames after inputs, and the carry.

        Args:
            inputs: frames [B, T, keys].
            targets: the frames after them; a logit sees the lower keys of its own frame.
            carry: the carry before the first frame; None means zeros.
            reset: [B, T] (bool), frames before which a row starts from zeros.
            train: whether dropout acts; needs the key `dropout` then, if it is above 0.

        Raises:
            ValueError: a frame has another number of keys.
        """
        check_keys(self, inputs)
        b, t, k = inputs.shape
        h, carry = self._time(inputs, carry, reset, train)
        below = jnp.pad(targets[..., :-1], ((0, 0), (0, 0), (1, 0)))  # x_{t+1, k-1}
        x = jnp.concatenate([h, below[..., None].astype(h.dtype)], axis=-1)
        o, _ = self.over_notes(x.reshape(b * t, k, -1), train=train)
        logits = self.output(self.drop(o, deterministic=not train))
        return logits.reshape(b, t, k), carry

    def draw(
        self, carry: BiaxialCarry, frames: jax.Array, key: jax.Array, temperature: ArrayLike
    ) -> tuple[BiaxialCarry, jax.Array]:
        """The carry after frames [N, keys], and the next ones, drawn (0 or 1) from low to high."""
        h, carry = self._time(frames[:, None], carry, None, False)
        h = h[:, 0].swapaxes(0, 1)  # [keys, N, H]

        def note(model, state, inputs):
            notes, below = state
            key, h = inputs
            notes, o = model.over_notes.step(notes, jnp.concatenate([h, below], axis=-1))
            played = draw_keys(key, model.output(o[:, None])[:, 0], temperature)  # [N, 1]
            return (notes, played), played[:, 0]

        state = self.over_notes.initial_carry((len(frames), h.shape[-1] + 1))
        start = (state, jnp.zeros((len(frames), 1)))
        scan = nn.scan(note, variable_broadcast="params", split_rngs={"params": False})
        _, played = scan(self, start, (jax.random.split(key, self.keys), h))
        return carry, played.T

    @nn.nowrap
    def initial_carry(self, rows: int) -> BiaxialCarry:
        """The carry before the first frame of so many rows: zeros."""
        layers = self._stack("time", parent=None).initial_carry((rows, 1))
        layers = jax.tree.map(lambda a: jnp.repeat(a[:, None], self.keys, axis=1), layers)
        return BiaxialCarry(layers, jnp.zeros(rows, jnp.int32))

    def _time(self, x: jax.Array, carry, reset, train: bool) -> tuple[jax.Array, BiaxialCarry]:
        """h [B, T, keys, H] of frames [B, T, keys]."""
        b, t, k = x.shape
        carry = self.initial_carry(b) if carry is None else carry
        reset = jnp.zeros((b, t), bool) if reset is None else reset

        def count(frame, reset):
            frame = jnp.where(reset, 0, frame)
            return frame + 1, frame

        frame, frames = lax.scan(count, carry.frame, reset.T)
        features = self._features(x.astype(self.dtype), frames.T)
        rows = features.swapaxes(1, 2).reshape(b * k, t, -1)
        layers = jax.tree.map(lambda a: a.reshape(b * k, *a.shape[2:]), carry.layers)
        repeated = None if t == 1 else jnp.repeat(reset, k, axis=0)
        if t == 1:  # one step: no scan over resets
            layers = jax.tree.map(lambda a: jnp.where(jnp.repeat(reset, k, axis=0), 0, a), layers)
        h, layers = self.over_time(rows, layers, reset=repeated, train=train)
        h = self.drop(h, deterministic=not train).reshape(b, k, t, -1).swapaxes(1, 2)
        layers = jax.tree.map(lambda a: a.reshape(b, k, *a.shape[1:]), layers)
        return h, BiaxialCarry(layers, frame)

    def _features(self, x: jax.Array, frames: jax.Array) -> jax.Array:
        """The surroundings of every key of frames [B, T, keys]: [B, T, keys, 54].

        Position 1, pitch class 12, vicinity 25, context 12, beat 4: the bits of the frame's place
        in the bar, counted in sixteenths, as -1 or 1.
        """
        b, t, k = x.shape
        pitch = np.arange(k) + self.lowest
        fixed = np.concatenate([pitch[:, None] / 128, np.eye(12)[pitch % 12]], axis=1)
        around = np.arange(k)[:, None] + np.arange(25)  # of the frame with twelve keys on each side
        vicinity = jnp.pad(x, ((0, 0), (0, 0), (12, 12)))[..., around]  # [B, T, keys, 25]
        sounding = x @ jnp.asarray(np.eye(12)[pitch % 12], x.dtype)  # [B, T, 12]
        context = sounding[..., (pitch[:, None] + np.arange(12)) % 12]  # [B, T, keys, 12]
        sixteenth = frames % self.bar * 16 // self.bar
        beat = 2 * (sixteenth[..., None] >> jnp.arange(4)[None, None] & 1) - 1  # [B, T, 4]
        beat = jnp.broadcast_to(beat[:, :, None].astype(x.dtype), (b, t, k, 4))
        fixed = jnp.broadcast_to(jnp.asarray(fixed, x.dtype)[None, None], (b, t, k, 13))
        return jnp.concatenate([fixed, vicinity, context, beat], axis=-1)

    @nn.nowrap
    def _stack(self, axis: str, **options: Any) -> Recurrent:
        cell, layers = (
            (self.time, self.time_layers) if axis == "time" else (self.notes, self.note_layers)
        )
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        return Recurrent(cell, layers, dropout=self.dropout, **dtypes, **options)
