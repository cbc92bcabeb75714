"""Update rules: how a gradient becomes a step. One class each; `Rule` is the set of them.

A rule of your own is one more class, added to `Rule`.
"""

import dataclasses

import jax
import jax.numpy as jnp
import optax

from nets.errors import check_range
from nets.optim.paths import kernels

Chain = tuple[optax.GradientTransformation, ...]


@dataclasses.dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent."""

    def chain(self, scale: optax.GradientTransformation) -> Chain:
        """The transformations of a gradient, in order; `scale` is by minus the learning rate."""
        return (scale,)


@dataclasses.dataclass(frozen=True)
class Momentum:
    """Heavy-ball momentum (Polyak 1964).

    Attributes:
        momentum: decay of the velocity.
    """

    momentum: float = 0.9

    def __post_init__(self) -> None:
        check_range(self, "momentum", at_least=0, below=1)

    def chain(self, scale: optax.GradientTransformation) -> Chain:
        return optax.trace(self.momentum), scale


@dataclasses.dataclass(frozen=True)
class Nesterov(Momentum):
    """Momentum in its look-ahead form (Nesterov 1983; Sutskever et al. 2013)."""

    def chain(self, scale: optax.GradientTransformation) -> Chain:
        return optax.trace(self.momentum, nesterov=True), scale


@dataclasses.dataclass(frozen=True)
class RMSprop:
    """Gradients over the root of their mean square (Tieleman and Hinton 2012).

    Attributes:
        decay: decay of the mean square.
        eps: added to the root of the mean square.
    """

    decay: float = 0.9
    eps: float = 1e-8

    def __post_init__(self) -> None:
        check_range(self, "decay", at_least=0, below=1)
        check_range(self, "eps", above=0)

    def chain(self, scale: optax.GradientTransformation) -> Chain:
        return optax.scale_by_rms(self.decay, self.eps, eps_in_sqrt=False), scale


@dataclasses.dataclass(frozen=True)
class RMSpropTF(RMSprop):
    """TensorFlow's RMSProp with momentum, of Inception-v3, NASNet and MobileNet.

    Mean squares start at one, and each step's learning rate stays in the velocity.

    Attributes:
        eps: added to the mean square, inside the root.
        momentum: decay of the velocity.
    """

    momentum: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "momentum", at_least=0, below=1)

    def chain(self, scale: optax.GradientTransformation) -> Chain:
        rms = optax.scale_by_rms(self.decay, self.eps, initial_scale=1.0)
        return rms, scale, optax.trace(self.momentum)


@dataclasses.dataclass(frozen=True)
class Adagrad:
    """Gradients over the root of the sum of their squares (Duchi et al. 2011).

    Attributes:
        eps: added to the root of the sum of squares.
    """

    eps: float = 1e-8

    def __post_init__(self) -> None:
        check_range(self, "eps", above=0)

    def chain(self, scale: optax.GradientTransformation) -> Chain:
        return _scale_by_root_of_sum(self.eps), scale


@dataclasses.dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015).

    Attributes:
        b1: decay of the mean of gradients.
        b2: decay of the mean of their squares.
        eps: added to the root of the mean square.
    """

    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8

    def __post_init__(self) -> None:
        check_range(self, "b1", "b2", at_least=0, below=1)
        check_range(self, "eps", above=0)

    def chain(self, scale: optax.GradientTransformation) -> Chain:
        return optax.scale_by_adam(self.b1, self.b2, self.eps), scale


@dataclasses.dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019).

    Attributes:
        weight_decay: share of each kernel that a step at a learning rate of 1 takes away.
    """

    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "weight_decay", at_least=0)

    def chain(self, scale: optax.GradientTransformation) -> Chain:
        adam = optax.scale_by_adam(self.b1, self.b2, self.eps)
        return adam, optax.add_decayed_weights(self.weight_decay, kernels), scale


@dataclasses.dataclass(frozen=True)
class Lamb(AdamW):
    """AdamW with each layer's step scaled to the norm of its weights (You et al. 2020)."""

    def chain(self, scale: optax.GradientTransformation) -> Chain:
        *adamw, scale = super().chain(scale)
        return *adamw, optax.scale_by_trust_ratio(), scale


Rule = SGD | Momentum | Nesterov | RMSprop | RMSpropTF | Adagrad | Adam | AdamW | Lamb


def _scale_by_root_of_sum(eps: float) -> optax.GradientTransformation:
    """Gradients over the root of the sum of their squares, plus `eps`.

    `optax.scale_by_rss` adds it inside the root, where the default hides gradients below 1e-4.
    """

    def init(params):
        return optax.ScaleByRssState(optax.tree.zeros_like(params))

    def update(updates, state, params=None):
        sums = jax.tree.map(lambda s, g: s + jnp.square(g), state.sum_of_squares, updates)
        updates = jax.tree.map(lambda g, s: g / (jnp.sqrt(s) + eps), updates, sums)
        return updates, optax.ScaleByRssState(sums)

    return optax.GradientTransformation(init, update)
