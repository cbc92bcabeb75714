"""One pass over a split, and its figures."""

import functools
from typing import Any

import jax
from jax.sharding import Mesh

from nets.data.dataset import shape_errors
from nets.data.prefetch import prefetch
from nets.report.reporter import Reporter
from nets.tasks import metrics
from nets.tasks.metrics import Metrics
from nets.train import sharding
from nets.train.experiment import Experiment, make_trained
from nets.train.signals import Signals, Stopped
from nets.train.step import STOP, make_eval_step, make_fresh_carry


class Evaluator:
    """Evaluates parameters; compiles at its first use and keeps what it compiled."""

    def __init__(self, experiment: Experiment, mesh: Mesh, signals: Signals) -> None:
        self.experiment, self._mesh, self._signals = experiment, mesh, signals
        self._step = functools.cache(lambda final: jax.jit(make_eval_step(experiment, final)))

    @functools.cached_property
    def _fresh(self):
        return jax.jit(make_fresh_carry(self.experiment), out_shardings=sharding.rows(self._mesh))

    def __call__(
        self, params: Any, model_state: dict, split: str, final: bool = False
    ) -> tuple[dict[str, float], Metrics]:
        """The finished metrics of a split, and its sums and rows.

        Raises:
            Stopped: the processes agreed to stop before the end.
        """
        signals, several = self._signals, jax.process_count() > 1
        task, data = self.experiment.task, self.experiment.data
        totals, pending, first = {}, None, True
        for batch in prefetch(data.evaluate(split), data.read_threads):
            batch = sharding.put(batch, sharding.rows(self._mesh))
            if first and "carry" in model_state:
                carry = signals.run(functools.partial(self._fresh, batch))
                model_state = {**model_state, "carry": carry}
            if several:
                batch[STOP] = signals.flags(self._mesh)
            call = functools.partial(self._step(final), params, model_state, batch)
            with shape_errors(data, batch):
                model_state, new = signals.run(call) if first else call()
            first = False
            if pending is not None:
                totals = self._add(totals, pending)
            pending = new
            if several:  # independent programs in flight could meet in another order elsewhere
                jax.block_until_ready(new)
        totals, metadata = self._add(totals, pending), data.metadata()
        finish = functools.partial(task.finish, totals, metadata, data.target_tokenizer(metadata))
        return signals.run(finish), totals

    def _add(self, totals: Metrics, new: Metrics) -> Metrics:
        new = dict(new)
        stop = new.pop(STOP, None)
        if received := self._signals.received if stop is None else int(stop[0]):
            raise Stopped(received)
        return metrics.add(totals, sharding.fetch(new))

    def draw(
        self,
        reporter: Reporter,
        n: int,
        split: str,
        params: Any,
        model_state: dict[str, Any],
        totals: Metrics,
        final: bool = False,
    ) -> None:
        """Draws the task's figures of a split after n updates, in process 0."""
        params, model_state = sharding.fetch((params, model_state))
        if jax.process_index() == 0:
            experiment = self.experiment
            data, key = experiment.data, jax.random.fold_in(jax.random.key(experiment.seed), n)
            trained = make_trained(experiment, params, model_state, data.metadata(), key)
            batches = data.evaluate(split)
            make = functools.partial(experiment.task.figures, trained, batches, totals, final)
            reporter.figures(n, self._signals.run(make))
