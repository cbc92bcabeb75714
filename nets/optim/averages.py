"""Averages of the parameters, which are evaluated instead of them. `Average` is the set of them.

Each tells what share of the average stays when the parameters after n updates enter it.
"""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp

from nets.errors import check_range
from nets.types import Steps

NEVER = jnp.iinfo(jnp.int32).max


@dataclasses.dataclass(frozen=True)
class EMA:
    """Exponential moving average, corrected for its start as Adam's moments are.

    Attributes:
        decay: share of the moving average that stays at each step.
    """

    decay: float = 0.999

    def __post_init__(self) -> None:
        check_range(self, "decay", above=0, below=1)

    def share_kept(self, n: jax.Array, start: jax.Array | None) -> jax.Array:
        """1 - (1 - d) / (1 - d^n): the average divided by 1 - d^n."""
        rate = math.log(self.decay)
        return self.decay * jnp.expm1((n - 1) * rate) / jnp.expm1(n * rate)


@dataclasses.dataclass(frozen=True)
class Polyak:
    """The plain mean from a step on (Polyak and Juditsky 1992): with sgd, averaged SGD.

    Attributes:
        start_step: step, or epoch, from which on the mean of the parameters is taken.
    """

    start_step: Steps = 1

    def __post_init__(self) -> None:
        check_range(self, "start_step", above=0)

    def share_kept(self, n: jax.Array, start: jax.Array | None) -> jax.Array:
        return 1 - 1 / jnp.maximum(n - self.start_step + 1, 1)


@dataclasses.dataclass(frozen=True)
class NTASGD:
    """The plain mean from the first evaluation on that is worse than earlier ones.

    With sgd, the NT-ASGD of Merity et al. 2018, algorithm 1.

    Attributes:
        patience: the mean begins at an evaluation that is worse than the best of all but this many
            before it.
    """

    patience: int = 5

    def __post_init__(self) -> None:
        check_range(self, "patience", at_least=1)

    def share_kept(self, n: jax.Array, start: jax.Array | None) -> jax.Array:
        return 1 - 1 / jnp.maximum(n - start + 1, 1)

    def begins(self, values: list[float], maximise: bool) -> bool:
        """Whether the last of the monitored values of all evaluations is the one to begin at."""
        before, last = values[: -self.patience - 1], values[-1]
        return bool(before) and (last < max(before) if maximise else last > min(before))


Average = EMA | Polyak | NTASGD | None


def start(params: Any) -> Any:
    """The average before the first update: the parameters, in float32 or finer.

    A bfloat16 average would stand still: a step towards the parameters is less than its last bit.
    """
    return jax.tree.map(lambda p: p.astype(jnp.promote_types(p.dtype, jnp.float32)), params)


def start_step(average: Average) -> jax.Array | None:
    """The state's `average_start` before the first update."""
    return jnp.array(NEVER, jnp.int32) if isinstance(average, NTASGD) else None


def update(average: Average, mean: Any, params: Any, n: jax.Array, begun: jax.Array | None) -> Any:
    """The mean with the parameters after n updates in it; None stays None."""
    if average is None:
        return None
    share = average.share_kept(n, begun)
    # exactly the parameters where the share is 0, and where both are equal
    return jax.tree.map(lambda a, p: (p + share * (a - p)).astype(a.dtype), mean, params)
