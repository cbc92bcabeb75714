"""Neural SLAM: an agent that maps where it is into a memory, to explore."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers import memory_addressing as addressing
from nets.layers.checks import check_at_least
from nets.layers.grid_world import ACTIONS, AHEAD, CHANNELS
from nets.layers.recurrent import Recurrent
from nets.layers.recurrent_cell import Cell, add_bias, glorot_gates, matmul, orthogonal_gates
from nets.layers.torus_map import write_and_read
from nets.lstm import LSTM, LSTMCarry

_DISTRUST = -3.0  # initial input of the gate of content: at first the motion is believed


class SLAMCarry(NamedTuple):
    """Carry of `SLAM`.

    Attributes:
        h: output of the controller [B, H].
        c: its cell state [B, H].
        heading: belief of the heading [B, 4], relative to that at the beginning: the same, right,
            back, left. Zeros, as before the first step, stand for all of it on the first.
        position: belief of the position [B, N], N = size^2 cells of the map. Zeros stand for all of
            it on the middle.
        memory: the map [B, M, N].
        reads: what was read around the agent [B, K^2, M], K = 2 reach + 1, ahead in the first line.
    """

    h: jax.Array
    c: jax.Array
    heading: jax.Array
    position: jax.Array
    memory: jax.Array
    reads: jax.Array


class SLAM(Cell):
    """A map that is written and read where the agent believes to be (Zhang et al. 2017).

        h_t, c_t = LSTM(x_t, h_{t-1}, c_{t-1})
        p_t = motion(w_{t-1}, m_t),                             motion prediction
        k, beta, g, gamma, f = h_t U + u
        w_t = sharpen(interpolate(content(M_{t-1}, k, beta), p_t, g), gamma),  measurement update
        M_t(i) = M_{t-1}(i) (1 - sum_k w_t(i - k) e_k) + sum_k w_t(i - k) a_k,  mapping
        e_k, a_k = sum_c o_kc (sigmoid, tanh)(V_c + f),         for each cell k in view
        r_t(k) = sum_i w_t(i) M_t(i + k),                       around the agent
        y_t = [h_t, r_t]

    (`nets.layers.memory_addressing`, `nets.layers.torus_map`). An input is a view o [V, V, 2],
    ahead in the first line (`nets.layers.grid_world.look`), of a cell one-hot, or zeros out of
    sight, and the motion m [3]: forward, left, right, or zeros for none. The offsets k are turned
    by the belief of the heading, of which the motion is exact; the map is a torus, in the frame of
    the beginning, and wide enough for a world of side S, its border included, with size 2 S - 3.

    The paper writes and reads one vector a step, by a head each, and moves them by a learned kernel
    too; here the cells in view are written, each in its place, and the surroundings are read.

    >>> from nets.layers.recurrent import Recurrent
    >>> layer, x = Recurrent(SLAM(16, size=5, width=4, reach=2)), jnp.zeros((2, 6, 21))
    >>> jax.eval_shape(layer.init_with_output, jax.random.key(0), x)[0][0].shape
    (2, 6, 116)

    Attributes:
        features: units H of the controller.
        size: cells along a side of the map, odd.
        width: numbers M in a cell.
        reach: cells that are read in each direction from the agent; at least V - 1.
    """

    features: int = 64
    size: int = 21
    width: int = 8
    reach: int = 3

    @nn.compact
    def weights(self, shape: tuple[int, ...], dtype: DTypeLike) -> dict[str, jax.Array]:
        """Declares the weights.

        Raises:
            ValueError: a field is out of its range, or inputs are no view and motion.
        """
        check_at_least("width", self.width, 1)
        view = view_side(shape[-1])
        if self.reach < view - 1:
            raise ValueError(f"reach must be at least view - 1 = {view - 1}, got {self.reach}")
        if self.size % 2 == 0 or self.size < 2 * self.reach + 1:
            raise ValueError(
                f"size must be odd and at least 2 reach + 1 = {2 * self.reach + 1}, got {self.size}"
            )
        h, heads, glorot = self.features, sum(self._sizes()), nn.initializers.glorot_uniform()

        def recurrent(key, shape, dtype):
            return orthogonal_gates(key, shape, dtype, 4)

        def bias(key, shape, dtype):
            return jnp.zeros(shape, dtype).at[self.width + 1].set(_DISTRUST)

        return {
            "kernel": self.param("kernel", glorot_gates(4), (shape[-1], 4 * h), dtype),
            "recurrent_kernel": self.param("recurrent_kernel", recurrent, (h, 4 * h), dtype),
            "bias": self.param("bias", LSTM(h, parent=None).initial_bias, (4 * h,), dtype),
            "head_kernel": self.param("head_kernel", glorot, (h, heads), dtype),
            "head_bias": self.param("head_bias", bias, (heads,), dtype),
            "written_kernel": self.param(
                "written_kernel", glorot, (CHANNELS, 2 * self.width), dtype
            ),
        }

    @nn.nowrap
    def project(self, weights: dict, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Inputs of the gates [..., 4H] of x [..., D], and x itself.

        They are apart so that no gradient is computed where x needs none.
        """
        return add_bias(matmul(x, weights["kernel"]), weights["bias"]), x

    @nn.nowrap
    def update(self, weights: dict, carry: SLAMCarry, x: tuple[jax.Array, jax.Array]) -> SLAMCarry:
        gates, x = x
        carry = jax.tree.map(lambda a: a.astype(x.dtype), carry)
        z = carry.h @ weights["recurrent_kernel"]
        control = LSTM(self.features, parent=None).combine(
            {}, LSTMCarry(carry.c, carry.h), z, gates
        )
        told = add_bias(control.h @ weights["head_kernel"], weights["head_bias"])
        parts, at = [], 0
        for size in self._sizes():
            parts.append(told[:, at : at + size])
            at += size
        keys, strengths, content_gates, powers, written = parts
        strengths, content_gates, powers = (a[:, 0] for a in (strengths, content_gates, powers))
        sight, motion = x[:, : -len(ACTIONS)], x[:, -len(ACTIONS) :]

        heading, position = self.begun(carry)
        heading, position = self.motion(heading, position, motion)
        content = addressing.content_weighting(
            carry.memory, jnp.tanh(keys), jax.nn.softplus(strengths)
        )
        w = addressing.interpolate(content, position, jax.nn.sigmoid(content_gates))
        position = addressing.sharpen(w, 1 + jax.nn.softplus(powers))

        seen = turned(self.around(sight), heading, -1).reshape(len(x), -1, CHANNELS)
        z = weights["written_kernel"][None] + written[:, None]  # [B, C, 2 M]
        erased, added = jax.nn.sigmoid(z[..., : self.width]), jnp.tanh(z[..., self.width :])
        memory, around = write_and_read(carry.memory, position, seen.swapaxes(1, 2), erased, added)
        side = 2 * self.reach + 1
        around = turned(around.reshape(len(x), side, side, self.width), heading, 1)
        reads = around.reshape(len(x), -1, self.width)
        return SLAMCarry(control.h, control.c, heading, position, memory, reads)

    @nn.nowrap
    def begun(self, carry: SLAMCarry) -> tuple[jax.Array, jax.Array]:
        """Beliefs of the heading [B, 4] and the position [B, cells], which sum to one.

        Those of a carry of zeros are of the beginning: heading 0, in the middle of the map.
        """
        first = (jnp.arange(4) == 0).astype(carry.heading.dtype)
        middle = (jnp.arange(self.size**2) == self.size**2 // 2).astype(carry.position.dtype)
        heading, position = (
            belief + (1 - belief.sum(-1, keepdims=True)) * start[None]
            for belief, start in ((carry.heading, first), (carry.position, middle))
        )
        return heading, position

    @nn.nowrap
    def motion(
        self, heading: jax.Array, position: jax.Array, motion: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Beliefs of heading [B, 4] and position [B, N] after a motion [B, 3]."""
        forward, left, right = (m[:, None] for m in jnp.unstack(motion, axis=1))
        grid = position.reshape(-1, self.size, self.size)
        gone = sum(
            heading[:, k, None] * jnp.roll(grid, step, (1, 2)).reshape(position.shape)
            for k, step in enumerate(AHEAD.tolist())
        )
        after = heading + left * (jnp.roll(heading, -1, 1) - heading)
        after = after + right * (jnp.roll(heading, 1, 1) - heading)
        return after, position + forward * (gone - position)

    @nn.nowrap
    def around(self, sight: jax.Array) -> jax.Array:
        """A view [B, 2 V^2] placed in the surroundings [B, K, K, 2], with the heading 0."""
        view = math.isqrt(sight.shape[-1] // CHANNELS)
        across = self.reach - view // 2
        pad = ((0, 0), (self.reach + 1 - view, self.reach), (across, across), (0, 0))
        return jnp.pad(sight.reshape(-1, view, view, CHANNELS), pad)

    @nn.nowrap
    def output(self, weights: dict, carry: SLAMCarry) -> jax.Array:
        return jnp.concatenate([carry.h, carry.reads.reshape(len(carry.h), -1)], axis=-1)

    @nn.nowrap
    def initial_carry(self, shape: tuple[int, ...]) -> SLAMCarry:
        rows, cells = shape[0], self.size**2
        h = jnp.zeros((rows, self.features))
        reads = jnp.zeros((rows, (2 * self.reach + 1) ** 2, self.width))
        memory = jnp.zeros((rows, self.width, cells))
        return SLAMCarry(h, h, jnp.zeros((rows, 4)), jnp.zeros((rows, cells)), memory, reads)

    @property
    def output_features(self) -> int:
        return self.features + (2 * self.reach + 1) ** 2 * self.width

    @nn.nowrap
    def _sizes(self) -> tuple[int, ...]:
        """Outputs of the controller: key, strength, gate, power, and what is written."""
        return (self.width, 1, 1, 1, 2 * self.width)


def turned(surroundings: jax.Array, heading: jax.Array, sign: int) -> jax.Array:
    """Surroundings [B, K, K, M] turned by the belief of the heading [B, 4].

    To the left with sign 1, from the map's frame to the agent's; with -1 back.
    """
    return sum(
        heading[:, k, None, None, None] * jnp.rot90(surroundings, sign * k, (1, 2))
        for k in range(4)
    )


def view_side(inputs: int) -> int:
    """Cells V along the side of the view in inputs of this size, 2 V^2 + 3.

    Raises:
        ValueError: there is no odd V.
    """
    side = math.isqrt(max(inputs - len(ACTIONS), 0) // CHANNELS)
    if side % 2 == 0 or CHANNELS * side**2 + len(ACTIONS) != inputs:
        raise ValueError(
            f"inputs must be a view of an odd side V and a motion, 2 V^2 + 3 numbers, got {inputs}"
        )
    return side


class Explorer(nn.Module):
    """An actor and its critic, both reading what a recurrent cell says (Mnih et al. 2016).

        z_t = relu(layer(x_t) W + b),  logits_t = z_t P + p,  value_t = z_t Q + q

    With the cell `SLAM` it is Neural SLAM, with `LSTM` the agent that the paper compares it with.
    Inputs are those of `SLAM`, 2 view^2 + 3 numbers; the logits are of `grid_world.ACTIONS`:
    forward, left, right.

    >>> from nets.lstm import LSTM
    >>> model, x = Explorer(cell=LSTM(16)), jnp.zeros((2, 6, 21))
    >>> jax.eval_shape(model.init_with_output, jax.random.key(0), x)[0][0].shape
    (2, 6, 3)

    Attributes:
        cell: the recurrent cell.
        view: cells along the side of what the agent sees, odd.
        hidden: units that actor and critic share.
        dtype: computation dtype.
        param_dtype: parameter dtype, and dtype of the carry.
    """

    cell: SLAM | LSTM = SLAM()
    view: int = 3
    hidden: int = 128
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        check_at_least("Explorer.hidden", self.hidden, 1)
        types = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        wide = types | {"dtype": jnp.promote_types(self.dtype, jnp.float32)}
        self.recurrent = Recurrent(self.cell, **types)
        self.shared = nn.Dense(self.hidden, **types)
        self.actor = nn.Dense(len(ACTIONS), kernel_init=nn.initializers.zeros, **wide)
        self.critic = nn.Dense(1, **wide)

    def __call__(self, x: jax.Array, carry: Any = None) -> tuple[jax.Array, jax.Array, Any]:
        """Logits [B, T, A] and values [B, T], float32 at least, and the last carry, of x [B, T, D].

        Raises:
            ValueError: x is no view and motion of this side.
        """
        if view_side(x.shape[-1]) != self.view:
            raise ValueError(f"x must have a view of side {self.view}, got {list(x.shape)}")
        features, carry = self.recurrent(x.astype(self.dtype), carry)
        return *self.policy(features), carry

    def step(self, carry: Any, x: jax.Array) -> tuple[Any, jax.Array]:
        """One step of x [B, D]: the next carry, and features [B, F] for `policy`."""
        features, carry = self.recurrent(x[:, None].astype(self.dtype), carry)
        return carry, features[:, 0]

    def policy(self, features: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Logits [..., A] and values [...] of features [..., F]."""
        z = nn.relu(self.shared(features))
        return self.actor(z), self.critic(z)[..., 0]

    @nn.nowrap
    def check_world(self, side: int) -> None:
        """Raises ValueError: a world of this side, its border included, is wider than the map."""
        if isinstance(self.cell, SLAM) and self.cell.size < 2 * side - 3:
            raise ValueError(
                f"cell.size must be at least 2 side - 3 = {2 * side - 3} for worlds of side "
                f"{side}, got {self.cell.size}"
            )

    @nn.nowrap
    def initial_carry(self, rows: int) -> Any:
        """The carry before the first step."""
        layer = Recurrent(self.cell, dtype=self.dtype, param_dtype=self.param_dtype, parent=None)
        return layer.initial_carry((rows, CHANNELS * self.view**2 + len(ACTIONS)))
