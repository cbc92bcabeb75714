"""Type hints that several modules share, and that the launcher turns into flags."""

from collections.abc import Callable

import jax

Activation = Callable[[jax.Array], jax.Array]
