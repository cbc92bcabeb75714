"""The state of a run on the host."""

import dataclasses

from nets.train.experiment import Experiment


@dataclasses.dataclass
class Progress:
    """The state on the host, saved with every checkpoint."""

    evaluated: int = 0  # step of the last finished evaluation
    best_step: int | None = None
    best_value: float | None = None
    evals_since_best: int = 0
    evals_since_drop: int = 0  # or since the best: the plateau schedule's count
    values: list[float] = dataclasses.field(default_factory=list)  # of all evaluations
    window: dict[str, list[float]] = dataclasses.field(default_factory=dict)  # since the last line
    log_size: int = 0  # bytes of metrics.jsonl that belong to this state
    elapsed_s: float = 0.0

    def count_evaluation(self, step: int, value: float | None, maximise: bool) -> bool:
        """Counts an evaluation in, and tells whether it is the best so far.

        None, where nothing counted for the metric, is not.
        """
        self.evaluated = step
        self.evals_since_best += 1
        self.evals_since_drop += 1
        if value is None:
            return False
        self.values.append(value)
        sign = 1 if maximise else -1
        best = self.best_value is None or sign * value > sign * self.best_value
        if best:
            self.best_step, self.best_value = step, value
            self.evals_since_best = self.evals_since_drop = 0
        return best

    def ends_run(self, n: int, experiment: Experiment, maximise: bool) -> bool:
        """Whether the run is over after n updates, by its patience or its target."""
        patience, ratio, target = experiment.patience, experiment.patience_ratio, experiment.target
        if patience is not None and self.evals_since_best >= patience:
            return True
        if self.best_value is None:
            return False
        sign = 1 if maximise else -1
        return (ratio is not None and n >= ratio * self.best_step) or (
            target is not None and sign * self.best_value >= sign * target
        )
