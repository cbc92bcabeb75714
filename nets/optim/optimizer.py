"""The optimizer: a frozen dataclass that builds an optax chain."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax

from nets.errors import UserError, check_range
from nets.optim.paths import kernels, matching
from nets.optim.rules import Adam, Rule
from nets.optim.schedules import Constant, Schedule
from nets.types import Steps


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """Penalties, then clipping, then the update rule, then the schedule.

    The objective is `loss + l1 * sum |w| + l2 / 2 * sum w^2`, summed over kernels only (leaves
    whose name ends in `kernel`: no bias, no normalisation, no embedding). Either alone is L1 or L2
    (ridge, weight decay as in SGD papers); both together are the elastic net (Zou and Hastie 2005),
    which `elastic_net` and `l1_ratio` give in scikit-learn's form and are added to l1 and l2:

        elastic_net * (l1_ratio * sum |w| + (1 - l1_ratio) / 2 * sum w^2)

    The penalties enter as gradients, so that the reported loss stays that of the data; clipping
    sees the gradient of the whole objective. A gradient never makes a weight exactly zero: with
    `proximal` that of L1 is replaced by a soft threshold after each step, w to
    sign(w) max(|w| - learning rate * l1, 0), which does (Daubechies et al. 2004; for rules other
    than gradient descent it is decoupled from the gradient's scale, as AdamW's decay is).

    Attributes:
        rule: update rule (nets/optim/rules.py); rmsproptf is TensorFlow's, with momentum.
        learning_rate: peak learning rate.
        schedule: of the learning rate after the warm-up (nets/optim/schedules.py).
        warmup: steps, or epochs, of linear growth from 0 to the learning rate, before any schedule.
        l1: weight of sum |w| over kernels.
        l2: weight of sum w^2 / 2 over kernels.
        elastic_net: weight of the elastic net's penalty, alpha in scikit-learn.
        l1_ratio: share of L1 in that penalty, from 0 (ridge) to 1 (lasso).
        proximal: whether L1 is a soft threshold after each step, which makes weights exactly zero.
        clip_norm: maximum global norm of the gradient.
        clip_value: maximum absolute value of each element of the gradient.
        freeze: patterns of parameters that stay as they are, such as encoder/*; * stands for any
            part of a path. A module that is wholly frozen runs as in an evaluation.
    """

    rule: Rule = Adam()
    learning_rate: float = 1e-3
    schedule: Schedule = Constant()
    warmup: Steps = 0
    l1: float = 0.0
    l2: float = 0.0
    elastic_net: float = 0.0
    l1_ratio: float = 0.5
    proximal: bool = False
    clip_norm: float | None = None
    clip_value: float | None = None
    freeze: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_range(self, "learning_rate", "clip_norm", "clip_value", above=0)
        check_range(self, "warmup", "l1", "l2", "elastic_net", at_least=0)
        check_range(self, "l1_ratio", at_least=0, at_most=1)
        if self.proximal and not self.penalties()[0]:
            raise UserError("needs an L1 penalty: l1 or elastic_net above 0.", "proximal")

    def penalties(self) -> tuple[float, float]:
        """The weights of sum |w| and of sum w^2 / 2, with those of the elastic net.

        >>> Optimizer(l1=1.0, elastic_net=2.0, l1_ratio=0.25).penalties()
        (1.5, 1.5)
        """
        l1 = self.l1 + self.l1_ratio * self.elastic_net
        return l1, self.l2 + (1 - self.l1_ratio) * self.elastic_net

    def learning_rates(self, steps: int) -> optax.Schedule:
        """The learning rate at each step of a run of `steps` (the plateau's factor left out)."""
        main = self.schedule.decay(self.learning_rate, self.warmup, steps)
        if not self.warmup:
            return main
        warmup = optax.linear_schedule(0.0, self.learning_rate, self.warmup)
        return optax.join_schedules([warmup, main], [self.warmup])

    def build(self, steps: int) -> optax.GradientTransformationExtraArgs:
        """The optax chain for a run of `steps`.

        Its `update` needs `lr_scale`, what the plateau schedule multiplies the learning rate by.
        """
        parts, (l1, l2) = [], self.penalties()
        if l1 and not self.proximal:
            parts.append(optax.masked(_add_sign(l1), kernels))
        if l2:
            parts.append(optax.add_decayed_weights(l2, kernels))
        if self.clip_value is not None:
            parts.append(optax.clip(self.clip_value))
        if self.clip_norm is not None:
            parts.append(optax.clip_by_global_norm(self.clip_norm))
        scale = _scale_by_learning_rate(self.learning_rates(steps))
        parts += self.rule.chain(scale)
        if self.proximal:
            threshold = _soft_threshold(l1, self.learning_rates(steps))
            parts.append(optax.masked(threshold, kernels))
        trained = optax.chain(*parts)
        if not self.freeze:
            return trained

        def labels(params):
            return jax.tree.map(lambda f: "frozen" if f else "trained", self.frozen(params))

        return optax.partition({"trained": trained, "frozen": optax.set_to_zero()}, labels)

    def frozen(self, params: Any) -> Any:
        """A tree of booleans: which parameters stay as they are.

        Raises:
            UserError: a pattern of `freeze` matches none.
        """
        return matching(params, self.freeze, "optimizer.freeze")


def zero_weights(params: Any) -> int:
    """The number of kernels' weights that are exactly zero.

    >>> zero_weights({"kernel": jnp.array([0.0, -0.0, 0.1]), "bias": jnp.zeros(1)})
    2
    """
    counts = jax.tree.map(lambda p, k: jnp.sum(p == 0) if k else 0, params, kernels(params))
    return int(sum(jax.tree.leaves(counts)))


def _add_sign(weight: float) -> optax.GradientTransformation:
    """Adds the gradient of `weight * sum |w|`."""

    def update(updates, state, params):
        return jax.tree.map(lambda g, p: g + weight * jnp.sign(p), updates, params), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def _soft_threshold(
    weight: float, schedule: optax.Schedule
) -> optax.GradientTransformationExtraArgs:
    """The proximal step of `weight * sum |w|`: the last of a chain."""

    def update(updates, state, params=None, *, lr_scale):
        threshold = weight * lr_scale * schedule(state.count)

        def change(update, param):
            moved = param + update
            shrunk = jnp.sign(moved) * jnp.maximum(jnp.abs(moved) - threshold, 0)
            return (shrunk - param).astype(update.dtype)

        count = optax.safe_increment(state.count)
        return jax.tree.map(change, updates, params), optax.ScaleByScheduleState(count)

    def init(params):
        return optax.ScaleByScheduleState(jnp.zeros([], jnp.int32))

    return optax.GradientTransformationExtraArgs(init, update)


def _scale_by_learning_rate(schedule: optax.Schedule) -> optax.GradientTransformationExtraArgs:
    """optax's of that name, times `lr_scale`."""
    scheduled = optax.scale_by_learning_rate(schedule)

    def update(updates, state, params=None, *, lr_scale):
        updates, state = scheduled.update(updates, state, params)
        return jax.tree.map(lambda u: (u * lr_scale).astype(u.dtype), updates), state

    return optax.GradientTransformationExtraArgs(scheduled.init, update)
