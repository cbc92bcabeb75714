"""Strictness for every test: a silent broadcast between ranks is an error (so are warnings)."""

import jax

jax.config.update("jax_numpy_rank_promotion", "raise")
