"""The end of a run: the evaluation of the best parameters, and its figures."""

import jax

from nets.optim.optimizer import zero_weights
from nets.report.reporter import Reporter
from nets.train import checkpoint, resume, train_state
from nets.train.checkpoint import Checkpoints
from nets.train.evaluate import Evaluator
from nets.train.progress import Progress
from nets.train.train_state import State


def conclude(
    state: State,
    progress: Progress,
    n: int,
    checkpoints: Checkpoints,
    evaluator: Evaluator,
    reporter: Reporter,
) -> None:
    """Evaluates the best parameters after n updates, on all the splits of the end, and reports."""
    trained, best = (train_state.evaluated(state), state.model_state), progress.best_step
    checkpoints.wait()
    if best not in (None, n):
        try:
            source = f"checkpoint {best}"
            params, shared = resume.parameters(state, checkpoints.read(best)[0], source)
            trained = params, state.model_state | shared
        except checkpoint.Damaged as error:
            reporter.warn(f"{source}, the best, is damaged ({error}); step {n} is evaluated")
            best = n
    result = {
        "step": n,
        "best_step": best,
        "elapsed_s": progress.elapsed_s,
        "parameters": sum(x.size for x in jax.tree.leaves(state.params)),
    }
    if evaluator.experiment.optimizer.penalties()[0]:
        result["zero_weights"] = zero_weights(trained[0])
    done = n if best is None else best
    if evaluator.experiment.eval_train:
        result["train_eval"], _ = evaluator(*trained, "train", final=True)
        reporter.evaluation(done, "train_eval", result["train_eval"], False)
    for split in evaluator.experiment.data.splits()[-1:]:
        result[split], totals = evaluator(*trained, split, final=True)
        if split == "test":
            reporter.evaluation(done, split, result[split], False)
        evaluator.draw(reporter, n, split, *trained, totals, final=True)
    reporter.conclude(result)
