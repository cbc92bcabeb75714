"""Equal blocks as one scan over stacked parameters: compile time does not grow with their number.

The blocks of a stage are called `stage_0`, `stage_1` and so on. With a scan, `stage_0` stays a
module of its own, since it may differ from the others; these become one module `stage_rest`, whose
arrays have a leading axis, the block.
"""

import re
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

Variables = Mapping[str, Any]


def scan_blocks(block: nn.Module, x: jax.Array, length: int, xs: Any = None) -> jax.Array:
    """Applies `length` equal blocks to x, each with its own parameters and statistics.

    Give the block a name that ends in "_rest", so that `unstack_blocks` finds its variables.

    Args:
        block: a module that maps `(x, inputs)` to an array with the shape and dtype of x.
        x: input of the first block.
        length: number of blocks.
        xs: arrays with a leading axis of `length`; block i gets `inputs = xs[i]`.
    """

    def step(block, x, inputs):
        return block(x, inputs), None

    scanned = nn.scan(
        step,
        variable_axes={"params": 0, "batch_stats": 0},
        split_rngs={"params": True, "dropout": True},
        length=length,
    )
    return scanned(block, x, xs)[0]


def stack_blocks(variables: Variables) -> dict[str, Any]:
    """Converts a model's variables to those of the same model with scanned blocks.

    In every collection ("params", "batch_stats") the modules `name_1`, `name_2` ... are stacked
    into `name_rest`; other modules do not change.

        >>> blocks = {f"stage_{i}": {"bias": jnp.ones(3)} for i in range(5)}
        >>> stack_blocks({"params": blocks})["params"]["stage_rest"]["bias"].shape
        (4, 3)

    Raises:
        ValueError: a number is missing, or the blocks' arrays differ in name or shape.
    """
    return {kind: _stacked(modules) for kind, modules in variables.items()}


def unstack_blocks(variables: Variables) -> dict[str, Any]:
    """The inverse of `stack_blocks`.

    >>> unstack_blocks({"params": {"stage_rest": {"bias": jnp.ones((4, 3))}}})["params"].keys()
    dict_keys(['stage_1', 'stage_2', 'stage_3', 'stage_4'])
    """
    return {kind: _unstacked(modules) for kind, modules in variables.items()}


def _stacked(modules: Variables) -> dict[str, Any]:
    stages: dict[str, dict[int, Any]] = {}
    result = {}
    for name, module in modules.items():
        if match := re.fullmatch(r"(.+)_([1-9]\d*)", name):
            stages.setdefault(match[1], {})[int(match[2])] = module
        else:
            result[name] = module
    return result | {f"{name}_rest": _stack(name, blocks) for name, blocks in stages.items()}


def _stack(name: str, blocks: dict[int, Any]) -> Any:
    if sorted(blocks) != list(range(1, len(blocks) + 1)):
        raise ValueError(f"blocks {name}_i must be numbered 1, 2, ..., got {sorted(blocks)}")
    ordered = [blocks[i] for i in sorted(blocks)]
    shapes = [jax.tree.map(jnp.shape, block) for block in ordered]
    for i, shape in enumerate(shapes, 1):
        if shape != shapes[0]:
            raise ValueError(f"{name}_{i} must have arrays with the names and shapes of {name}_1")
    return jax.tree.map(lambda *arrays: jnp.stack(arrays), *ordered)


def _unstacked(modules: Variables) -> dict[str, Any]:
    result = {}
    for name, module in modules.items():
        stage = name.removesuffix("_rest")
        if stage == name:
            result[name] = module
            continue
        for i in range(len(jax.tree.leaves(module)[0])):
            block = jax.tree.map(lambda array, i=i: array[i], module)
            result[f"{stage}_{i + 1}"] = block
    return result
