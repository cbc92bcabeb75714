"""Learning-rate schedules, each from the end of the warm-up on; `Schedule` is the set of them."""

import dataclasses

import optax

from nets.errors import UserError, check_range
from nets.types import Steps


@dataclasses.dataclass(frozen=True)
class Constant:
    """The learning rate as it is."""

    def decay(self, peak: float, warmup: int, steps: int) -> optax.Schedule:
        """The learning rate by the number of steps since the warm-up, in a run of `steps`."""
        return optax.constant_schedule(peak)


@dataclasses.dataclass(frozen=True)
class Step:
    """Multiplied by a factor at each of several steps.

    Attributes:
        milestones: steps of the run, or epochs, at which the learning rate is multiplied; rising.
        factor: what it is multiplied by at each milestone.
    """

    milestones: tuple[Steps, ...]
    factor: float = 0.1

    def __post_init__(self) -> None:
        check_range(self, "factor", above=0)
        if not self.milestones or sorted({0, *self.milestones}) != [0, *self.milestones]:
            raise UserError(f"must be rising and above 0, got {self.milestones}.", "milestones")

    def decay(self, peak: float, warmup: int, steps: int) -> optax.Schedule:
        drops = {m - warmup: self.factor for m in self.milestones}
        return optax.piecewise_constant_schedule(peak, drops)


@dataclasses.dataclass(frozen=True)
class Cosine:
    """Half a cosine down to the last step (Loshchilov and Hutter 2017).

    Attributes:
        final_fraction: learning rate at the last step, as a share of the peak.
    """

    final_fraction: float = 0.0

    def __post_init__(self) -> None:
        check_range(self, "final_fraction", at_least=0, at_most=1)

    def decay(self, peak: float, warmup: int, steps: int) -> optax.Schedule:
        return optax.cosine_decay_schedule(peak, max(steps - warmup, 1), self.final_fraction)


@dataclasses.dataclass(frozen=True)
class Exponential:
    """Multiplied by a factor at regular intervals after the warm-up, at once.

    Attributes:
        every: steps, or epochs, from one drop of the learning rate to the next.
        factor: what it is multiplied by at each drop.
    """

    every: Steps
    factor: float = 0.1

    def __post_init__(self) -> None:
        check_range(self, "every", "factor", above=0)

    def decay(self, peak: float, warmup: int, steps: int) -> optax.Schedule:
        return optax.exponential_decay(peak, self.every, self.factor, staircase=True)


@dataclasses.dataclass(frozen=True)
class Plateau(Constant):
    """Multiplied by a factor when the monitored metric no longer improves.

    Attributes:
        patience: evaluations without improvement before the learning rate is multiplied.
        factor: what it is multiplied by then.
    """

    patience: int = 5
    factor: float = 0.1

    def __post_init__(self) -> None:
        check_range(self, "patience", at_least=1)
        check_range(self, "factor", above=0)


Schedule = Constant | Step | Cosine | Exponential | Plateau
