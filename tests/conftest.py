"""Strictness for every test: a silent broadcast between ranks is an error (so are warnings).

What tests cache, compiled programs above all, lies in `.pytest_cache`, not in the user's own
directory. Programs are compiled without LLVM's optimisations, in half the time, as most run once;
with JAX_DISABLE_MOST_OPTIMIZATIONS=0 in the environment they are compiled as users' are.
"""

import os
from pathlib import Path

os.environ["XDG_CACHE_HOME"] = str(Path(__file__).parent.parent / ".pytest_cache" / "home")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

import jax  # noqa: E402  (reads the environment)
import pytest  # noqa: E402

from nets.cli import compilation_cache, options  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")
compilation_cache.use_cache(options.Options().compilation_cache)


@pytest.fixture(scope="module", autouse=True)
def programs_of_this_file_alone():
    """Forgets what a file has compiled when it is through: over all files it grows to gigabytes."""
    yield
    jax.clear_caches()
