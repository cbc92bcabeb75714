"""The loop: restore; then for each step take batch i, update, log, evaluate, save.

The position in the data is the step number and the random keys are those of (seed, step), so the
state and the `Progress` of a checkpoint are all that a continuation needs to be the same, bit for
bit.
"""

import contextlib
import dataclasses
import functools
import math
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh

from nets.errors import inside
from nets.optim.schedules import Plateau
from nets.report.reporter import Reporter
from nets.tasks.metrics import Metrics
from nets.tasks.task import Batch
from nets.train import averaging, checkpoint, evaluate, resume, sharding, step
from nets.train.checkpoint import Checkpoints
from nets.train.conclude import conclude, draw
from nets.train.experiment import Experiment, batch_struct, check_batch
from nets.train.progress import Progress
from nets.train.signals import Signals, Stopped
from nets.train.train_state import State, shardings


class Diverged(Exception):
    """The loss or the gradient of a step is not finite.

    Attributes:
        state: with `debug_nans` that before the step, on the host; None without.
        batch: that of the step; None without.
    """

    def __init__(self, message: str, state: State | None, batch: Batch | None):
        super().__init__(message)
        self.state, self.batch = state, batch


def fit(experiment: Experiment, workdir: Path, signals: Signals, reporter: Reporter) -> Progress:
    """Trains to the last step, from the newest intact checkpoint in `workdir` if there is one.

    Raises:
        UserError: the checkpoint does not fit.
        Stopped: a signal came; what was done is saved.
        Diverged: the loss or the gradient is no longer finite; the checkpoint before it is kept.
    """
    data, steps = experiment.data, experiment.steps
    mesh = sharding.make()
    maximise = experiment.monitor in experiment.task.maximise
    watch = "validation" in data.splits()
    metadata = data.metadata()
    tokenizer = data.target_tokenizer(metadata)

    state, progress, start = resume.restore(
        experiment, workdir, mesh, signals, reporter.warn, reporter.say
    )
    batches = evaluate.read(data.train(experiment.seed), data, start)
    rows = sharding.rows(mesh)
    first = batch_struct(data)
    compiled = {shapes(first): signals.run(lambda: compile_step(experiment, state, mesh, first))}
    if (signum := signals.agree()) is not None:
        raise Stopped(signum)

    reporter.open(progress.log_size, start, steps)
    parameters = sum(x.size for x in jax.tree.leaves(state.params))
    devices = f"{mesh.size} x {mesh.devices.flat[0].device_kind}"
    reporter.say(f"{parameters:,} parameters on {devices}, from step {start}, in {workdir}")
    evaluator = evaluate.Evaluator(experiment, mesh, signals)
    pending, stop, saved = None, None, start
    before: dict[int, tuple] = {}  # the state and batch of the last updates, to explain them by
    began = time.monotonic() - progress.elapsed_s

    def absorb(n: int, device_metrics: dict) -> int | None:
        """Adds step n's metrics to the window; waits for the device."""
        host = evaluate.add({}, device_metrics)
        asked = host.pop(step.STOP, None)
        for name, (s, w) in host.items():
            if not math.isfinite(s):
                known = sharding.fetch(before[n]) if n in before else (None, None)
                raise Diverged(f"{name} is {float(s)} at step {n}", *known)
            total = progress.window.get(name, [0.0, 0.0])
            progress.window[name] = [total[0] + float(s), total[1] + float(w)]
        return int(asked[0]) or None if asked is not None else signals.received

    with contextlib.closing(Checkpoints(workdir / "checkpoints", maximise)) as checkpoints:
        checkpoints.set_aside(start)
        for n in range(start, steps + 1):  # n updates are done
            last = n == steps
            log_due = n > start and (n % experiment.log_every == 0 or last)
            eval_due = watch and n > progress.evaluated and (n % experiment.eval_every == 0 or last)
            save_due = n % experiment.save_every == 0 or last
            if pending is not None and (log_due or eval_due or save_due or stop):
                stop = absorb(n, pending) or stop
                pending = None
            if log_due:
                window = {k: tuple(v) for k, v in progress.window.items()}
                values = experiment.task.finish(window, metadata, tokenizer)
                reporter.train_line(n, steps, values, data.batch_size)
                progress.window = {}
            improved = False
            if eval_due and n > 0 and not stop:
                try:
                    parts = averaging.evaluated(state), state.model_state
                    values, totals = evaluator(*parts, "validation")
                    improved = progress.count_evaluation(
                        n, values.get(experiment.monitor), maximise
                    )
                    reporter.evaluation(n, "validation", values, improved)
                    state = drop_on_plateau(experiment, state, progress, mesh)
                    state = averaging.after_evaluation(
                        experiment.average, state, progress.values, maximise, mesh
                    )
                    draw(experiment, *parts, totals, n, "validation", reporter, signals, False)
                except Stopped as stopped:
                    stop = stopped.code - 128
            done = (
                experiment.patience is not None and progress.evals_since_best >= experiment.patience
            )
            if n > saved and (save_due or improved or done or stop):
                progress.elapsed_s = time.monotonic() - began
                progress.log_size = reporter.sync()
                arrays = checkpoint.flatten(sharding.fetch(state))
                score = progress.best_value if improved else None
                checkpoints.save(n, arrays, dataclasses.asdict(progress), score)
                saved = n
            if stop:
                checkpoints.wait()
                raise Stopped(stop)
            if last or done:
                break
            batch = next(batches)
            if n == start:
                check_batch(data, batch)
            if (shape := shapes(batch)) not in compiled:
                make = functools.partial(compile_step, experiment, state, mesh, batch)
                compiled[shape] = signals.run(make, to_end=True)
            if jax.process_count() > 1:
                batch = sharding.put(batch, rows) | {step.STOP: signals.flags(mesh)}
            if experiment.debug_nans and jax.process_count() == 1:
                before = {n: before.get(n), n + 1: (state, batch)}
            state, device_metrics = compiled[shape](state, batch)
            if pending is not None:
                stop = absorb(n, pending)
            pending = device_metrics
            reporter.tick(n + 1)

        conclude(experiment, state, progress, n, checkpoints, evaluator, reporter, signals)
    return progress


def shapes(batch: Batch) -> tuple:
    """The shapes that key the cache of compiled steps."""
    return tuple((name, x.shape) for name, x in sorted(batch.items()))


def compile_step(
    experiment: Experiment, state: State, mesh: Mesh, batch: Batch
) -> Callable[[State, Batch], tuple[State, Metrics]]:
    """The update, compiled for batches of these shapes; it donates the state, except to debug."""
    rows = sharding.rows(mesh)
    batch = {
        name: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=rows) for name, x in batch.items()
    }
    if jax.process_count() > 1:
        batch[step.STOP] = jax.ShapeDtypeStruct((mesh.size,), np.int32, sharding=rows)
    where = (shardings(state, mesh), sharding.replicated(mesh))
    donated = () if experiment.debug_nans else 0
    update = jax.jit(step.make_train_step(experiment), donate_argnums=donated, out_shardings=where)
    with inside("task"):
        return update.lower(state, batch).compile()


def drop_on_plateau(experiment: Experiment, state: State, progress: Progress, mesh: Mesh) -> State:
    """The state with its updates scaled down, where the plateau schedule drops."""
    plateau = experiment.optimizer.schedule
    if not isinstance(plateau, Plateau) or progress.evals_since_drop < plateau.patience:
        return state
    progress.evals_since_drop = 0
    scale = np.asarray(sharding.fetch(state.lr_scale) * plateau.factor, state.lr_scale.dtype)
    return state._replace(lr_scale=sharding.put(scale, sharding.replicated(mesh)))
