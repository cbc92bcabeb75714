"""The optimizer: a frozen dataclass that builds an optax chain."""

import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax

from nets.errors import UserError


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """Penalties, then clipping, then the update rule, then the schedule.

    The objective is `loss + l1 * sum |w| + l2 / 2 * sum w^2`, summed over kernels only (leaves
    whose name ends in `kernel`: no bias, no normalisation, no embedding). Either alone is L1 or L2
    (ridge, weight decay as in SGD papers); both together are the elastic net (Zou and Hastie 2005).
    The penalties enter as gradients, so that the reported loss stays that of the data; clipping
    sees the gradient of the whole objective.

    Attributes:
        rule: update rule; momentum is heavy-ball, nesterov its look-ahead form; rmsprop_tf is
            TensorFlow's, with momentum: mean squares that start at one, `eps` inside the root, the
            learning rate inside the velocity (Inception-v3, NASNet, MobileNet).
        learning_rate: peak learning rate.
        schedule: constant; step (times `factor` at each of `milestones`); cosine (to
            `final_fraction` at the last step); exponential (times `factor` at every `decay_steps`
            after the warm-up, at once); plateau (times `factor` when the watched metric has
            not improved for `plateau_patience` evaluations).
        warmup_steps: steps of linear growth from 0 to the learning rate, before any schedule.
        milestones: steps at which the step schedule multiplies.
        factor: multiplier of the step, exponential and plateau schedules.
        decay_steps: steps between the drops of the exponential schedule.
        final_fraction: learning rate at the end of the cosine, as a share of the peak.
        plateau_patience: evaluations without improvement before the plateau schedule multiplies.
        momentum: decay of the velocity, for momentum, nesterov and rmsprop_tf.
        decay: decay of the mean square, for rmsprop and rmsprop_tf.
        b1: decay of the first moment, for adam, adamw and lamb.
        b2: decay of the second moment, for adam, adamw and lamb.
        eps: added to the denominator, for rmsprop, adagrad, adam, adamw and lamb; to the mean
            square, for rmsprop_tf.
        weight_decay: decoupled decay of kernels (Loshchilov and Hutter 2019), for adamw and lamb.
        l1: weight of sum |w| over kernels.
        l2: weight of sum w^2 / 2 over kernels.
        clip_norm: greatest global norm of the gradient.
        clip_value: greatest absolute value of each element of the gradient.
    """

    rule: Literal[
        "sgd",
        "momentum",
        "nesterov",
        "rmsprop",
        "rmsprop_tf",
        "adagrad",
        "adam",
        "adamw",
        "lamb",
    ] = "adam"
    learning_rate: float = 1e-3
    schedule: Literal["constant", "step", "cosine", "exponential", "plateau"] = "constant"
    warmup_steps: int = 0
    milestones: tuple[int, ...] = ()
    factor: float = 0.1
    decay_steps: int = 0
    final_fraction: float = 0.0
    plateau_patience: int = 5
    momentum: float = 0.9
    decay: float = 0.9
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    l1: float = 0.0
    l2: float = 0.0
    clip_norm: float | None = None
    clip_value: float | None = None

    def __post_init__(self):
        for name in ("learning_rate", "eps", "factor", "plateau_patience"):
            _require(self, name, getattr(self, name) > 0, "above 0")
        for name in ("warmup_steps", "decay_steps", "weight_decay", "l1", "l2"):
            _require(self, name, getattr(self, name) >= 0, "0 or above")
        for name in ("momentum", "decay", "b1", "b2"):
            _require(self, name, 0 <= getattr(self, name) < 1, "at least 0 and below 1")
        for name in ("clip_norm", "clip_value"):
            value = getattr(self, name)
            _require(self, name, value is None or value > 0, "above 0, or none")
        _require(self, "final_fraction", 0 <= self.final_fraction <= 1, "from 0 to 1")
        rising = all(a < b for a, b in zip((0, *self.milestones), self.milestones, strict=False))
        _require(self, "milestones", rising, "rising steps above 0")
        if self.schedule == "step" and not self.milestones:
            raise UserError("--optimizer.schedule=step needs --optimizer.milestones=STEP,STEP,...")
        if self.schedule == "exponential" and not self.decay_steps:
            raise UserError("--optimizer.schedule=exponential needs --optimizer.decay_steps=STEPS.")
        if self.weight_decay and self.rule not in ("adamw", "lamb"):
            raise UserError(
                f"--optimizer.weight_decay={self.weight_decay} is for the rules adamw and lamb; "
                f"with --optimizer.rule={self.rule} use --optimizer.l2."
            )

    def learning_rates(self, steps: int) -> optax.Schedule:
        """The learning rate at each step of a run of `steps` (the plateau's factor left out)."""
        after = max(steps - self.warmup_steps, 1)
        if self.schedule == "cosine":
            main = optax.cosine_decay_schedule(self.learning_rate, after, self.final_fraction)
        elif self.schedule == "step":
            drops = {m - self.warmup_steps: self.factor for m in self.milestones}
            main = optax.piecewise_constant_schedule(self.learning_rate, drops)
        elif self.schedule == "exponential":
            main = optax.exponential_decay(
                self.learning_rate, self.decay_steps, self.factor, staircase=True
            )
        else:
            main = optax.constant_schedule(self.learning_rate)
        if not self.warmup_steps:
            return main
        warmup = optax.linear_schedule(0.0, self.learning_rate, self.warmup_steps)
        return optax.join_schedules([warmup, main], [self.warmup_steps])

    def build(self, steps: int) -> optax.GradientTransformationExtraArgs:
        """The optax chain for a run of `steps`.

        Its `update` needs `lr_scale`, what the plateau schedule multiplies the learning rate by.
        """
        adam = optax.scale_by_adam(self.b1, self.b2, self.eps)
        decoupled = optax.add_decayed_weights(self.weight_decay, kernels)
        rule = {
            "sgd": (),
            "momentum": (optax.trace(self.momentum),),
            "nesterov": (optax.trace(self.momentum, nesterov=True),),
            "rmsprop": (optax.scale_by_rms(self.decay, self.eps, eps_in_sqrt=False),),
            "rmsprop_tf": (optax.scale_by_rms(self.decay, self.eps, initial_scale=1.0),),
            "adagrad": (_scale_by_root_of_sum(self.eps),),
            "adam": (adam,),
            "adamw": (adam, decoupled),
            "lamb": (adam, decoupled, optax.scale_by_trust_ratio()),
        }[self.rule]
        parts = []
        if self.l1:
            parts.append(optax.masked(_add_sign(self.l1), kernels))
        if self.l2:
            parts.append(optax.add_decayed_weights(self.l2, kernels))
        if self.clip_value is not None:
            parts.append(optax.clip(self.clip_value))
        if self.clip_norm is not None:
            parts.append(optax.clip_by_global_norm(self.clip_norm))
        scaled = _scale_by_learning_rate(self.learning_rates(steps))
        after = (optax.trace(self.momentum),) if self.rule == "rmsprop_tf" else ()
        return optax.chain(*parts, *rule, scaled, *after)


def kernels(params: Any) -> Any:
    """A tree of booleans: which leaves are kernels, by name."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: str(getattr(path[-1], "key", path[-1])).endswith("kernel"), params
    )


def _add_sign(weight: float) -> optax.GradientTransformation:
    """Adds the gradient of `weight * sum |w|`."""

    def update(updates, state, params):
        return jax.tree.map(lambda g, p: g + weight * jnp.sign(p), updates, params), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def _scale_by_learning_rate(schedule: optax.Schedule) -> optax.GradientTransformationExtraArgs:
    """optax's of that name, times `lr_scale`."""
    scheduled = optax.scale_by_learning_rate(schedule)

    def update(updates, state, params=None, *, lr_scale):
        updates, state = scheduled.update(updates, state, params)
        return jax.tree.map(lambda u: (u * lr_scale).astype(u.dtype), updates), state

    return optax.GradientTransformationExtraArgs(scheduled.init, update)


def _scale_by_root_of_sum(eps: float) -> optax.GradientTransformation:
    """Gradients over the root of the sum of their squares, plus `eps` (Duchi et al. 2011).

    `optax.scale_by_rss` adds it inside the root, where the default hides gradients below 1e-4.
    """

    def init(params):
        return optax.ScaleByRssState(optax.tree.zeros_like(params))

    def update(updates, state, params=None):
        sums = jax.tree.map(lambda s, g: s + jnp.square(g), state.sum_of_squares, updates)
        updates = jax.tree.map(lambda g, s: g / (jnp.sqrt(s) + eps), updates, sums)
        return updates, optax.ScaleByRssState(sums)

    return optax.GradientTransformation(init, update)


def _require(optimizer: Optimizer, name: str, holds: bool, valid: str) -> None:
    if not holds:
        given = getattr(optimizer, name)
        raise UserError(f"--optimizer.{name}={given} is not possible; it must be {valid}.")
