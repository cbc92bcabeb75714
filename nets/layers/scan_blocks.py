"""Equal blocks run as one scan over stacked weights, so that their number costs no compile time.

Blocks of a stage are called `stage_0`, `stage_1` and so on. Of those that are scanned, `stage_0`
stays what it is, for it may differ from the others, which become one module `stage_rest` whose
every array has a leading axis: the block.
"""

import re
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

Variables = Mapping[str, Any]


def scan_blocks(block: nn.Module, x: jax.Array, length: int, given: Any = None) -> jax.Array:
    """x through `length` blocks of one kind, each with parameters and statistics of its own.

    A block whose name ends in "_rest" has variables that `unstack_blocks` takes apart.

    Args:
        block: a module that maps `(x, given)` to another x of the same shape and type.
        x: what the first block is given.
        length: number of blocks.
        given: arrays whose leading axis is the block, which gets its part of them.
    """

    def step(block, x, given):
        return block(x, given), None

    scanned = nn.scan(
        step,
        variable_axes={"params": 0, "batch_stats": 0},
        split_rngs={"params": True, "dropout": True},
        length=length,
    )
    return scanned(block, x, given)[0]


def stack_blocks(variables: Variables) -> dict[str, Any]:
    """Variables of a model without scanned blocks as those of the same model with them.

    In every collection ("params", "batch_stats") the modules `name_1`, `name_2` ... are stacked
    into `name_rest`; all others stay as they are.

    Raises:
        ValueError: there is a gap between those numbers, or the blocks' arrays differ in name or
            shape.
    """
    return {kind: _stacked(modules) for kind, modules in variables.items()}


def unstack_blocks(variables: Variables) -> dict[str, Any]:
    """`stack_blocks` back."""
    return {kind: _unstacked(modules) for kind, modules in variables.items()}


def _stacked(modules: Variables) -> dict[str, Any]:
    stages: dict[str, dict[int, Any]] = {}
    result = {}
    for name, module in modules.items():
        if found := re.fullmatch(r"(.+)_([1-9]\d*)", name):
            stages.setdefault(found[1], {})[int(found[2])] = module
        else:
            result[name] = module
    return result | {f"{name}_rest": _stack(name, blocks) for name, blocks in stages.items()}


def _stack(name: str, blocks: dict[int, Any]) -> Any:
    if sorted(blocks) != list(range(1, len(blocks) + 1)):
        raise ValueError(f"blocks {name}_1, {name}_2 ... have gaps: {sorted(blocks)}")
    ordered = [blocks[i] for i in sorted(blocks)]
    shapes = [jax.tree.map(jnp.shape, block) for block in ordered]
    for i, shape in enumerate(shapes, 1):
        if shape != shapes[0]:
            raise ValueError(f"{name}_{i} cannot be stacked on {name}_1: their arrays differ")
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
