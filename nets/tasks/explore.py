"""Exploration of worlds of square cells, learned by an actor and a critic."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from nets.errors import check_range
from nets.layers import grid_world
from nets.report.figures import Figure
from nets.tasks import explore_figures
from nets.tasks.advantage import generalised_advantage
from nets.tasks.losses import baseline_loss, reinforce_loss
from nets.tasks.metrics import Metrics, masked_sum, mean
from nets.tasks.sequence_figures import real
from nets.tasks.task import Batch, Task, Trained

_DRAWN = 4  # worlds that are drawn


class Walk(NamedTuple):
    """T steps in the world, and what is needed to learn from them.

    Attributes:
        rewards: cells newly seen [B, T] after each action.
        values: of the critic [B, T], before each action.
        log_probability: of the actions [B, T].
        entropy: of the policy [B, T], nats.
        poses: [B, T + 1, 3] (`nets.layers.grid_world`).
        seen: cells that have been in view [B, H, W] (bool).
        carry: of the model at the end.
    """

    rewards: jax.Array
    values: jax.Array
    log_probability: jax.Array
    entropy: jax.Array
    poses: jax.Array
    seen: jax.Array
    carry: Any


@dataclasses.dataclass(frozen=True)
class Explore(Task):
    """Exploration by `model.step(carry, x) -> (carry, features)` and `model.policy(features) ->
    (logits, values)`, from `model.initial_carry(rows)` on, where `model.view` is the side of what
    it sees and `model.check_world(side)` refuses a world too wide (`nets.neural_slam.Explorer`).

    An episode is T steps in a world; x is what is in view and the last motion. The reward is that
    of each free cell that comes into view for the first time. The loss is that of the advantage
    actor-critic (Mnih et al. 2016), with generalised advantages, all of the episode in one batch:

        mean over steps of -A log p(a) - entropy H + value (v - (A + v))^2, where no gradient
        passes A and A + v

    Actions are drawn from the policy, in evaluations too. Metrics: loss; explored, the share of the
    free cells that have been in view at the end; entropy (nats).

    Attributes:
        steps: T.
        reward: reward of a cell.
        discount: of rewards, for each step.
        decay: lambda of the advantages.
        entropy: weight of the policy's entropy.
        value: weight of the critic's squared error.
    """

    steps: int = 48
    reward: float = 0.1
    discount: float = 0.95
    decay: float = 0.95
    entropy: float = 0.01
    value: float = 0.5

    maximise: ClassVar[tuple[str, ...]] = ("explored",)

    def __post_init__(self) -> None:
        check_range(self, "steps", at_least=1)
        check_range(self, "reward", above=0)
        check_range(self, "discount", "decay", at_least=0, at_most=1)
        check_range(self, "entropy", "value", at_least=0)

    def init(self, model: nn.Module, key: jax.Array, batch: Batch) -> tuple[Any, dict]:
        model.check_world(batch["inputs"].shape[1])
        size = grid_world.CHANNELS * model.view**2 + len(grid_world.ACTIONS)
        x = jnp.zeros((len(batch["pose"]), 1, size))
        return model.init(key, x)["params"], {}

    def loss(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        train: bool,
    ) -> tuple[jax.Array, tuple[dict, Metrics]]:
        walk = self.walk(model, params, batch, key)
        rewards, values = self.reward * walk.rewards, lax.stop_gradient(walk.values)
        advantage = generalised_advantage(rewards, values, self.discount, self.decay)
        returns = advantage + values
        policy = reinforce_loss(
            returns, walk.log_probability, walk.entropy, values,
            reward_weight=1.0, entropy_weight=self.entropy,
        )  # fmt: skip
        # the returns are constant and would only obscure the loss
        each = (policy + returns + self.value * baseline_loss(walk.values, returns)).mean(1)
        explored = grid_world.explored(walls(batch), walk.seen)
        metrics = {
            "loss": masked_sum(each, batch),
            "explored": masked_sum(explored, batch),
            "entropy": masked_sum(walk.entropy.mean(1), batch),
        }
        return mean(metrics["loss"]), (model_state, metrics)

    def walk(self, model: nn.Module, params: Any, batch: Batch, key: jax.Array) -> Walk:
        """An episode in each of the B worlds of a batch, by which `key` decides."""
        blocked = walls(batch)
        rows = len(blocked)
        state, sight = grid_world.begin(blocked, jnp.asarray(batch["pose"]), model.view)
        x = _inputs(sight, jnp.zeros((rows, len(grid_world.ACTIONS))))

        def apply(*inputs, method):
            return model.apply({"params": params}, *inputs, method=method)

        def step(before, step_key):
            carry, state, x = before
            carry, features = apply(carry, x, method="step")
            action = jax.random.categorical(step_key, apply(features, method="policy")[0])
            after, sight, motion = grid_world.move(blocked, state, action, model.view)
            gained = ((after.seen & ~state.seen) & ~blocked).sum((1, 2)).astype(jnp.float32)
            return (carry, after, _inputs(sight, motion)), (features, action, gained, after.pose)

        keys = jax.random.split(key, self.steps)
        start = model.initial_carry(rows), state, x
        (carry, last, _), outputs = lax.scan(step, start, keys)
        features, actions, gained, poses = (jnp.swapaxes(a, 0, 1) for a in outputs)
        logits, values = apply(features, method="policy")  # again: its gradient is one matmul
        log_p = jax.nn.log_softmax(logits)
        entropy = -(jnp.exp(log_p) * log_p).sum(-1)
        taken = jnp.take_along_axis(log_p, actions[..., None], axis=-1)[..., 0]
        poses = jnp.concatenate([state.pose[:, None], poses], axis=1)
        return Walk(gained, values, taken, entropy, poses, last.seen, carry)

    def figures(
        self, trained: Trained, batches: Sequence[Batch], metrics: Metrics, final: bool
    ) -> dict[str, Figure]:
        if not final:
            return {}
        rows = {name: a[:_DRAWN] for name, a in real(batches[0]).items()}
        walk = jax.jit(lambda batch, key: self.walk(trained.model, trained.params, batch, key))
        walked = jax.tree.map(np.asarray, walk(rows, trained.key))
        return {"exploration": explore_figures.exploration(walls(rows), walked)}


def walls(batch: Batch) -> jax.Array:
    """The walls [B, H, W] (bool) of a batch."""
    return jnp.asarray(batch["inputs"]) > 0.5


def _inputs(sight: jax.Array, motion: jax.Array) -> jax.Array:
    """The model's input [B, D]: what is in view [B, V, V, 2], and the motion [B, 3]."""
    return jnp.concatenate([sight.reshape(len(sight), -1), motion], axis=-1)
