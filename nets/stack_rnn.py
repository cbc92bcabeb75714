"""Stack-augmented recurrent network: a simple recurrent cell with differentiable stacks."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers.checks import check_at_least, check_between
from nets.layers.recurrent_cell import Cell, orthogonal_gates

ACTIONS = ("push", "pop", "no-op")


class StackCarry(NamedTuple):
    """Carry of `StackRNN`.

    Attributes:
        h: output [B, H].
        stacks: [B, S, N], the top first, one added to each number: 0 stands for an empty place.
        actions: probabilities of the actions that led here, [B, S, 2], or [B, S, 3] with no-op.
    """

    h: jax.Array
    stacks: jax.Array
    actions: jax.Array


def apply_actions(stacks: jax.Array, actions: jax.Array, values: jax.Array) -> jax.Array:
    """The stacks after a mixture of actions (Joulin and Mikolov 2015, equations 4 and 5).

    At a push all numbers move one place down, and the last is lost; at a pop one place up, and a 0
    comes in below.

        >>> stacks, values = jnp.array([[[3.0, 2.0, 1.0]]]), jnp.array([[4.0]])
        >>> push, pop = jnp.array([[[1.0, 0.0]]]), jnp.array([[[0.0, 1.0]]])
        >>> [apply_actions(stacks, a, values)[0, 0].tolist() for a in (push, pop)]
        [[4.0, 3.0, 2.0], [2.0, 1.0, 0.0]]

    Args:
        stacks: [B, S, N], the top first.
        actions: probabilities [B, S, A] of push, pop and, if A is 3, no-op.
        values: pushed onto each stack [B, S].
    """
    empty = jnp.zeros_like(stacks[..., :1])
    pushed = jnp.concatenate([values[..., None], stacks[..., :-1]], axis=-1)
    popped = jnp.concatenate([stacks[..., 1:], empty], axis=-1)
    moved = (pushed, popped, stacks)[: actions.shape[-1]]
    return sum(actions[..., k, None] * new for k, new in enumerate(moved))


class StackRNN(Cell):
    """Recurrent network with stacks of numbers (Joulin and Mikolov 2015).

        h_t = sigmoid(x_t U + h_{t-1} R + s_{t-1}[0..k-1] P + b)                        (6)
        a_t = softmax(h_t A)                                          for each stack    (3)
        s_t[0] = a_t[push] sigmoid(h_t D) + a_t[pop] s_{t-1}[1] + a_t[no-op] s_{t-1}[0]  (4)
        s_t[i] = a_t[push] s_{t-1}[i-1] + a_t[pop] s_{t-1}[i+1] + a_t[no-op] s_{t-1}[i]  (5)

    in the paper's numbers; s[0] is the top, and an empty place is -1. U is `kernel` [D, H],
    initialised Glorot uniform, b `bias` [H], initialised to zero (the paper has none), R and P
    `recurrent_kernel` [H + S k, H], the k tops of the first stack before those of the second,
    initialised orthogonal. A and D are `stack_kernel` [H, S (A + 1)], initialised Glorot uniform:
    for each stack the actions' columns and then that of the value.

    >>> from nets.layers.recurrent import Recurrent
    >>> layer, x = Recurrent(StackRNN(16, stacks=2)), jnp.zeros((2, 5, 8))
    >>> jax.eval_shape(layer.init_with_output, jax.random.key(0), x)[0][0].shape
    (2, 5, 16)

    Attributes:
        features: number of units H.
        stacks: number of stacks S.
        size: numbers N that a stack holds; more are lost at its bottom. The paper's grow.
        depth: numbers k at the top of a stack that the units see.
        no_op: whether a stack can stay as it is; otherwise it is pushed or popped at every step.
        recurrent: whether the units see those of the step before; without, R is absent and all
            memory is in the stacks.
    """

    stacks: int = 10
    size: int = 128
    depth: int = 2
    no_op: bool = False
    recurrent: bool = True

    @nn.compact
    def weights(self, shape: tuple[int, ...], dtype: DTypeLike) -> dict[str, jax.Array]:
        """Declares the weights.

        Raises:
            ValueError: `stacks` or `size` is below 1, or `depth` is not from 1 to `size`.
        """
        check_at_least("stacks", self.stacks, 1)
        check_at_least("size", self.size, 1)
        check_between("depth", self.depth, 1, self.size)
        h, glorot = self.features, nn.initializers.glorot_uniform()
        before = self.stacks * self.depth + (h if self.recurrent else 0)
        columns = self.stacks * (self._actions + 1)

        def recurrent(key, shape, dtype):
            return orthogonal_gates(key, shape, dtype, parts=1)

        return {
            "kernel": self.param("kernel", glorot, (shape[-1], h), dtype),
            "bias": self.param("bias", nn.initializers.zeros, (h,), dtype),
            "recurrent_kernel": self.param("recurrent_kernel", recurrent, (before, h), dtype),
            "stack_kernel": self.param("stack_kernel", glorot, (h, columns), dtype),
        }

    @nn.nowrap
    def update(self, weights: dict, carry: StackCarry, x: jax.Array) -> StackCarry:
        rows, stacks = len(x), carry.stacks.astype(x.dtype)
        seen = (stacks[..., : self.depth] - 1).reshape(rows, -1)
        if self.recurrent:
            seen = jnp.concatenate([carry.h.astype(x.dtype), seen], axis=-1)
        h = nn.sigmoid(x + seen @ weights["recurrent_kernel"])
        z = (h @ weights["stack_kernel"]).reshape(rows, self.stacks, -1)
        actions, values = nn.softmax(z[..., :-1]), nn.sigmoid(z[..., -1])
        return StackCarry(h, apply_actions(stacks, actions, 1 + values), actions)

    @nn.nowrap
    def traces(self, carry: StackCarry) -> dict[str, jax.Array]:
        """The probabilities of the actions and the tops of the stacks, [B, S] each."""
        actions = {name: carry.actions[..., k] for k, name in enumerate(ACTIONS[: self._actions])}
        return actions | {"top": carry.stacks[..., 0] - 1}

    @nn.nowrap
    def initial_carry(self, shape: tuple[int, ...]) -> StackCarry:
        rows = shape[0]
        return StackCarry(
            jnp.zeros((rows, self.features)),
            jnp.zeros((rows, self.stacks, self.size)),
            jnp.zeros((rows, self.stacks, self._actions)),
        )

    @property
    def _actions(self) -> int:
        return 3 if self.no_op else 2
