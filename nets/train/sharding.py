"""Data parallelism: one mesh axis over every device of every process.

A batch is split by rows over the axis, the state is replicated, and XLA inserts the collectives;
so a mean or a batch statistic is over the global batch, whatever the number of devices.
"""

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from nets.errors import UserError


def make() -> Mesh:
    """The mesh over all devices, with the one axis "data"."""
    return Mesh(np.array(jax.devices()), ("data",))


def rows(mesh: Mesh) -> NamedSharding:
    """Split along the first axis."""
    return NamedSharding(mesh, PartitionSpec("data"))


def replicated(mesh: Mesh) -> NamedSharding:
    """The same on every device."""
    return NamedSharding(mesh, PartitionSpec())


def put(tree: Any, sharding: Any) -> Any:
    """Host arrays, the same on every process, onto the devices.

    Args:
        tree: numpy arrays of the global shapes.
        sharding: one sharding for all leaves, or a tree of them.
    """
    if jax.process_count() == 1:
        return jax.device_put(tree, sharding)
    if isinstance(sharding, NamedSharding):
        sharding = jax.tree.map(lambda _: sharding, tree)
    return jax.tree.map(
        lambda x, s: jax.make_array_from_callback(np.shape(x), s, lambda i: np.asarray(x)[i]),
        tree,
        sharding,
    )


def fetch(tree: Any) -> Any:
    """The global value of every leaf as a numpy array, on every process."""

    def one(x):
        if isinstance(x, jax.Array) and not x.is_fully_addressable:
            if not x.is_fully_replicated:
                from jax.experimental.multihost_utils import process_allgather

                return np.asarray(process_allgather(x, tiled=True))
            return np.asarray(x.addressable_data(0))
        return np.asarray(x)

    if all(getattr(x, "is_fully_addressable", True) for x in jax.tree.leaves(tree)):
        return jax.tree.map(np.asarray, jax.device_get(tree))
    return jax.tree.map(one, tree)


def check(name: str, batch_size: int, mesh: Mesh, micro_batches: int = 1) -> None:
    """Refuses a batch size that the devices (times the micro-batches) do not divide."""
    parts = mesh.size * micro_batches
    if batch_size % parts:
        below = batch_size // parts * parts
        nearest = f"{below} or {below + parts}" if below else f"{parts}"
        of = f"{mesh.size} devices"
        of += f" x {micro_batches} micro-batches" if micro_batches > 1 else ""
        raise UserError(f"must divide over {of}, got {batch_size}; nearest is {nearest}.", name)
