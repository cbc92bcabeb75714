"""Initial parameters from another run (`Experiment.init_from`)."""

from collections.abc import Iterator
from typing import Any

import jax

from nets.errors import UserError
from nets.optim import averages
from nets.optim.paths import flatten, matches, nearest
from nets.train import checkpoint
from nets.train.checkpoint import Arrays
from nets.train.experiment import Experiment
from nets.train.train_state import State


def stored(arrays: Arrays, template: Any) -> tuple[Arrays, dict[str, Any]]:
    """The parameters that evaluations use (`train_state.evaluated`) and the model state without the
    carry, of a checkpoint's arrays; and the shapes and types that a state's template has of them.
    """
    averaged = any(path.startswith("average/") for path in arrays)
    params = jax.eval_shape(averages.start, template.params) if averaged else template.params
    shared = {k: v for k, v in template.model_state.items() if k != "carry"}
    stored_arrays = {}
    for path, array in arrays.items():
        head, _, rest = path.partition("/")
        if head == ("average" if averaged else "params"):
            stored_arrays[f"params/{rest}"] = array
        elif head == "model_state" and not rest.startswith("carry"):
            stored_arrays[path] = array
    return stored_arrays, {"params": params, "model_state": shared}


def take(experiment: Experiment, template: Any, arrays: Arrays, source: str) -> tuple[Arrays, str]:
    """The arrays of another run that the experiment's patterns choose, by their paths in the new
    run's state, and a table of what became of each.

    Raises:
        UserError: what is chosen is not the same in both runs (with the table), or a pattern or a
            new name is for nothing.
    """
    stored_arrays, expected = stored(arrays, template)
    stored_arrays, expected = _renamed(stored_arrays, experiment.init_rename), flatten(expected)
    names = {_name(path) for path in stored_arrays.keys() | expected.keys()}
    for field in ("init_include", "init_exclude"):
        for pattern in getattr(experiment, field):
            if not any(matches(name, [pattern]) for name in names):
                raise UserError(
                    f"has {pattern}, which matches no parameter of this run or of the other; near "
                    f"are {nearest(pattern, names)}.",
                    field,
                )

    def chosen(path: str) -> bool:
        name = _name(path)
        included = matches(name, experiment.init_include)
        return included and not matches(name, experiment.init_exclude)

    chosen_there, chosen_here = (
        {p: a for p, a in side.items() if chosen(p)} for side in (stored_arrays, expected)
    )
    try:
        taken = checkpoint.unflatten(chosen_here, chosen_there, source)
    except UserError as error:
        raise UserError(f"{error}\ninit_exclude=PATTERN,... leaves parameters out.") from None
    return taken, "\n".join([f"{source}:", *_rows(stored_arrays, expected, taken)])


def put_in(state: State, arrays: Arrays) -> State:
    """The state of step 0, on the host, with the arrays in the state's own types."""
    leaves = flatten(state)
    for path, array in arrays.items():
        leaves[path] = array.astype(leaves[path].dtype, copy=False)
    state = jax.tree.unflatten(jax.tree.structure(state), leaves.values())
    average = None if state.average is None else averages.start(state.params)
    return state._replace(average=average)


def _name(path: str) -> str:
    """The path that patterns are compared with: of a parameter, or of a statistic in its module."""
    parts = path.removeprefix("model_state/").split("/")
    return "/".join(parts[1:] or parts)


def _renamed(stored_arrays: Arrays, renames: tuple[str, ...]) -> Arrays:
    """The arrays by their new paths: of `old=new` all that is at old, or below it, is moved."""
    for rename in renames:
        old, equals, _ = rename.partition("=")
        if not equals:
            raise UserError(f"must be old=new paths, got {rename}.", "init_rename")
        if old and not any(f"{_name(path)}/".startswith(f"{old}/") for path in stored_arrays):
            near = nearest(old, map(_name, stored_arrays))
            message = f"has {old}, which the other run has not; near are {near}."
            raise UserError(message, "init_rename")

    def moved(path: str) -> str:
        name = _name(path)
        for old, _, new in (rename.partition("=") for rename in renames):
            if not old or f"{name}/".startswith(f"{old}/"):
                rest = name[len(old) :].strip("/")
                return path.removesuffix(name) + "/".join(part for part in (new, rest) if part)
        return path

    renamed = {moved(path): array for path, array in stored_arrays.items()}
    if len(renamed) < len(stored_arrays):
        raise UserError("gives two parameters of the other run one path.", "init_rename")
    return renamed


def _rows(stored_arrays: Arrays, expected: dict[str, Any], taken: Arrays) -> Iterator[str]:
    """A line for each parameter: taken, missing (as it is initialised) or left there."""
    paths = {p for p in stored_arrays.keys() | expected.keys() if p.startswith("params/")}
    width = max(map(len, paths)) - len("params/")
    for kind, side, chosen in (
        ("taken", expected, taken.keys()),
        ("missing", expected, expected.keys() - taken.keys()),
        ("left", stored_arrays, stored_arrays.keys() - taken.keys()),
    ):
        for path in sorted(chosen & paths):
            yield f"  {kind:7}  {_name(path):{width}}  {list(side[path].shape)}"
