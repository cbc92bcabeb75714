"""Which parameters something acts on, by their names."""

from typing import Any

import jax


def kernels(params: Any) -> Any:
    """A tree of booleans: which leaves are kernels, by name."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: str(getattr(path[-1], "key", path[-1])).endswith("kernel"), params
    )
