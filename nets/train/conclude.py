"""The end of a run: the evaluation of the best parameters, and its figures."""

import functools
from typing import Any

import jax

from nets.report.reporter import Reporter
from nets.tasks.metrics import Metrics
from nets.train import averaging, checkpoint, resume, sharding
from nets.train.checkpoint import Checkpoints
from nets.train.evaluate import Evaluator
from nets.train.experiment import Experiment, make_trained
from nets.train.progress import Progress
from nets.train.signals import Signals
from nets.train.train_state import State


def draw(
    experiment: Experiment,
    params: Any,
    model_state: dict[str, Any],
    metrics: Metrics,
    n: int,
    split: str,
    reporter: Reporter,
    signals: Signals,
    final: bool,
) -> None:
    """Draws the task's figures of a split after n updates, in process 0."""
    params, model_state = sharding.fetch((params, model_state))
    if jax.process_index() == 0:
        data, key = experiment.data, jax.random.fold_in(jax.random.key(experiment.seed), n)
        trained = make_trained(experiment, params, model_state, data.metadata(), key)
        batches = data.evaluate(split)
        make = functools.partial(experiment.task.figures, trained, batches, metrics, final)
        reporter.figures(n, signals.run(make))


def conclude(
    experiment: Experiment,
    state: State,
    progress: Progress,
    n: int,
    checkpoints: Checkpoints,
    evaluator: Evaluator,
    reporter: Reporter,
    signals: Signals,
) -> None:
    """Evaluates the best parameters after n updates, on the test split if any, and reports.

    With `eval_train` on the training split too.
    """
    params, model_state, best = averaging.evaluated(state), state.model_state, progress.best_step
    checkpoints.wait()
    if best not in (None, n):
        try:
            source = f"checkpoint {best}"
            arrays = checkpoints.read(best)[0]
            params, shared = resume.parameters(state, arrays, source)
            model_state = model_state | shared
        except checkpoint.Damaged as error:
            reporter.warn(
                f"{source}, the best, is damaged ({error}); step {n} is evaluated instead"
            )
            best = n
    result = {
        "step": n,
        "best_step": best,
        "elapsed_s": progress.elapsed_s,
        "parameters": sum(x.size for x in jax.tree.leaves(state.params)),
    }
    done = n if best is None else best
    if experiment.eval_train:
        result["train_eval"], _ = evaluator(params, model_state, "train", final=True)
        reporter.evaluation(done, "train_eval", result["train_eval"], False)
    for split in experiment.data.splits()[-1:]:
        result[split], metrics = evaluator(params, model_state, split, final=True)
        if split == "test":
            reporter.evaluation(done, split, result[split], False)
        draw(experiment, params, model_state, metrics, n, split, reporter, signals, True)
    reporter.conclude(result)
