"""The start of a run: its newest intact checkpoint, another run's parameters, or new ones."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from nets.errors import UserError
from nets.train import checkpoint, initial, sharding, train_state
from nets.train.checkpoint import Arrays, Checkpoints
from nets.train.experiment import Experiment
from nets.train.progress import Progress
from nets.train.signals import Signals


def restore(
    experiment: Experiment,
    workdir: Path,
    mesh: Mesh,
    signals: Signals,
    warn: Callable[[str], None],
    say: Callable[[str], None] = print,
) -> tuple[train_state.State, Progress, int]:
    """The state to go on from, on the devices, what the host remembers, and the step. Reads only.

    Raises:
        UserError: a checkpoint whose arrays do not fit the experiment's (with the table), or that
            is past the experiment's last step.
    """
    init = train_state.make_init(experiment)
    template = jax.eval_shape(init)
    where = train_state.shardings(template, mesh)
    if (latest := newest(workdir, warn)) is not None:
        step, arrays, progress = latest
        if step > experiment.steps:
            raise UserError(past(workdir, step, experiment.steps), "steps")
        source = f"checkpoint {workdir / 'checkpoints' / str(step)}"
        state = checkpoint.unflatten(template, arrays, source)
        return sharding.put(state, where), Progress(**progress), step
    taken = None
    if experiment.init_from is not None:
        best_step, arrays = best(Path(experiment.init_from), warn)
        source = f"init_from={experiment.init_from}, checkpoint {best_step}"
        taken, table = initial.take(experiment, template, arrays, source)
    # it runs once: on a CPU it is compiled in a fifth of the time without LLVM's optimisations
    quick = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
    start = jax.jit(init, out_shardings=where, compiler_options=quick)
    state = signals.run(lambda: jax.block_until_ready(start()))
    if taken is not None:
        say(table)
        state = sharding.put(initial.put_in(sharding.fetch(state), taken), where)
    return state, Progress(), 0


def past(workdir: Path, step: int, steps: int) -> str:
    """The message of a run that was extended past the requested number of steps."""
    return (
        f"must be at least {step}, which {workdir} has done, got {steps}; or give another work "
        "directory."
    )


def newest(workdir: Path, warn: Callable[[str], None]) -> tuple[int, Arrays, dict] | None:
    """The newest intact checkpoint of a work directory."""
    if not (workdir / "checkpoints").is_dir():
        return None
    with contextlib.closing(Checkpoints(workdir / "checkpoints", read_only=True)) as checkpoints:
        return checkpoints.newest(warn)


def best(workdir: Path, warn: Callable[[str], None], name: str = "best") -> tuple[int, Arrays]:
    """The best, the newest ("latest") or the numbered checkpoint of a work directory.

    Raises:
        UserError: there is none, or the requested one is not there or damaged.
    """
    if (latest := newest(workdir, warn)) is None:
        raise UserError(f"{workdir} holds no intact checkpoint.")
    step, arrays, progress = latest
    named = {"best": progress["best_step"] or step, "latest": step}
    chosen = named.get(name, int(name) if name.isdigit() else -1)
    with contextlib.closing(Checkpoints(workdir / "checkpoints", read_only=True)) as checkpoints:
        if chosen not in (there := checkpoints.steps()):
            names = ", ".join(["best", "latest", *map(str, there)])
            raise UserError(
                f"must be one of {names}, which {workdir} has, got {name}.", "checkpoint"
            )
        if chosen == step:
            return step, arrays
        try:
            return chosen, checkpoints.read(chosen)[0]
        except checkpoint.Damaged as error:
            raise UserError(f"checkpoint {chosen} of {workdir} is damaged: {error}.") from None


def parameters(template: train_state.State, arrays: Arrays, source: str) -> tuple[Any, dict]:
    """The parameters that evaluations use, and the model state without the carry.

    Raises:
        UserError: they do not fit (with the table).
    """
    stored, expected = initial.stored(arrays, template)
    fitted = checkpoint.unflatten(expected, stored, source)
    params = jax.tree.map(
        lambda x, p: x.astype(p.dtype, copy=False), fitted["params"], template.params
    )
    return params, fitted["model_state"]
