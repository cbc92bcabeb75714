"""The loop: restore; then for each step take batch i, update, log, evaluate, save.

The position in the data is the step number and the random keys are those of (seed, step), so the
state and `Progress` of a checkpoint are all that a continuation needs to have the same bits.
"""

import contextlib
import dataclasses
import functools
import math
import time
from pathlib import Path

import jax

from nets.data.dataset import check_batch, shape_errors
from nets.data.prefetch import prefetch
from nets.report.reporter import Reporter
from nets.tasks import metrics
from nets.tasks.metrics import Metrics
from nets.tasks.task import Batch
from nets.train import checkpoint, resume, sharding, train_state
from nets.train.checkpoint import Checkpoints
from nets.train.conclude import conclude
from nets.train.evaluate import Evaluator
from nets.train.experiment import Experiment, batch_struct
from nets.train.progress import Progress
from nets.train.signals import Signals, Stopped
from nets.train.step import STOP, compile_step, shapes
from nets.train.train_state import State


class Diverged(Exception):
    """The loss or the gradient of a step is not finite.

    Attributes:
        state: with `debug_nans` that before the step, on the host; None without.
        batch: that of the step; None without.
    """

    def __init__(self, message: str, state: State | None, batch: Batch | None) -> None:
        super().__init__(message)
        self.state, self.batch = state, batch


def fit(experiment: Experiment, workdir: Path, signals: Signals, reporter: Reporter) -> Progress:
    """Trains to the last step, from the newest intact checkpoint in `workdir` if there is one.

    Raises:
        UserError: the checkpoint does not fit.
        Stopped: a signal came; what was done is saved.
        Diverged: the loss or the gradient is no longer finite; the checkpoint before it is kept.
    """
    data, steps, mesh = experiment.data, experiment.steps, sharding.make()
    maximise = experiment.monitor in experiment.task.maximise
    watch = "validation" in data.splits()
    metadata = data.metadata()
    tokenizer = data.target_tokenizer(metadata)

    state, progress, start = resume.restore(
        experiment, workdir, mesh, signals, reporter.warn, reporter.say
    )
    batches = prefetch(data.train(experiment.seed), data.read_threads, start)
    rows, first = sharding.rows(mesh), batch_struct(data)
    compiled = {shapes(first): signals.run(lambda: compile_step(experiment, state, mesh, first))}
    if (signum := signals.agree()) is not None:
        raise Stopped(signum)

    reporter.open(progress.log_size, start, steps)
    parameters = sum(x.size for x in jax.tree.leaves(state.params))
    devices = f"{mesh.size} x {mesh.devices.flat[0].device_kind}"
    reporter.say(f"{parameters:,} parameters on {devices}, from step {start}, in {workdir}")
    evaluator = Evaluator(experiment, mesh, signals)
    pending, stop, saved = None, None, start
    before: dict[int, tuple] = {}  # the state and batch of the last updates, to explain them by
    began = time.monotonic() - progress.elapsed_s

    def absorb(n: int, step_metrics: Metrics) -> int | None:
        """Adds step n's metrics to the window; waits for the device. A signal's number, if any."""
        progress.window = metrics.add(progress.window, sharding.fetch(step_metrics))
        agreed = progress.window.pop(STOP, None)
        for name, (total, _) in progress.window.items():
            if not math.isfinite(total):
                cause = sharding.fetch(before[n]) if n in before else (None, None)
                raise Diverged(f"{name} is {float(total)} at step {n}", *cause)
        return signals.received if agreed is None else int(agreed[0]) or None

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
                values = experiment.task.finish(progress.window, metadata, tokenizer)
                reporter.train_line(n, steps, values, data.batch_size)
                progress.window = {}
            improved = False
            if eval_due and n > 0 and not stop:
                try:
                    trained = train_state.evaluated(state), state.model_state
                    values, totals = evaluator(*trained, "validation")
                    value = values.get(experiment.monitor)
                    improved = progress.count_evaluation(n, value, maximise)
                    reporter.evaluation(n, "validation", values, improved)
                    state = train_state.after_evaluation(
                        experiment, state, progress, maximise, mesh
                    )
                    evaluator.draw(reporter, n, "validation", *trained, totals)
                except Stopped as stopped:
                    stop = stopped.code - 128
            done = progress.ends_run(n, experiment, maximise)
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
                with shape_errors(data, batch):
                    compiled[shape] = signals.run(make, to_end=True)
            if jax.process_count() > 1:
                batch = sharding.put(batch, rows) | {STOP: signals.flags(mesh)}
            if experiment.debug_nans and jax.process_count() == 1:
                before = {n: before.get(n), n + 1: (state, batch)}
            state, new = compiled[shape](state, batch)
            if pending is not None:
                stop = absorb(n, pending)
            pending = new
            reporter.tick(n + 1)

        if len(compiled) > 1:
            reporter.say(f"compiled for {len(compiled)} shapes of training batches")
        conclude(state, progress, n, checkpoints, evaluator, reporter)
    return progress
