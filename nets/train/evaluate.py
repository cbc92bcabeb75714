"""One pass over a split."""

import collections
import functools
import operator
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from nets.data.dataset import Batch, Dataset
from nets.tasks.metrics import Metrics, Rows
from nets.train import sharding
from nets.train.experiment import Experiment
from nets.train.signals import Signals, Stopped
from nets.train.step import STOP, make_eval_step, make_fresh_carry


def read(batches: Sequence[Batch], data: Dataset, start: int = 0) -> Iterator[Batch]:
    """The batches from `start` on, made in threads ahead of their use."""
    threads = data.read_threads
    pool = ThreadPoolExecutor(threads)
    try:
        ahead = collections.deque()
        for i in range(start, len(batches)):
            ahead.append(pool.submit(batches.__getitem__, i))
            if len(ahead) > max(4, threads):
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


class Evaluator:
    """Evaluates parameters; compiles at its first use and keeps what it compiled."""

    def __init__(self, experiment: Experiment, mesh: Mesh, signals: Signals):
        self._experiment, self._mesh, self._signals = experiment, mesh, signals
        self._step = functools.cache(lambda final: jax.jit(make_eval_step(experiment, final)))

    @functools.cached_property
    def _fresh(self):
        return jax.jit(make_fresh_carry(self._experiment), out_shardings=sharding.rows(self._mesh))

    def __call__(
        self, params: Any, model_state: dict, split: str, final: bool = False
    ) -> tuple[dict[str, float], Metrics]:
        """The finished metrics of a split, and its sums and rows.

        Raises:
            Stopped: the processes agreed to stop before the end.
        """
        signals, several = self._signals, jax.process_count() > 1
        task, data = self._experiment.task, self._experiment.data
        totals, pending, first = {}, None, True
        for batch in read(data.evaluate(split), data):
            batch = sharding.put(batch, sharding.rows(self._mesh))
            if first and "carry" in model_state:
                carry = signals.run(functools.partial(self._fresh, batch))
                model_state = {**model_state, "carry": carry}
            if several:
                batch[STOP] = signals.flags(self._mesh)
            call = functools.partial(self._step(final), params, model_state, batch)
            model_state, metrics = signals.run(call) if first else call()
            first = False
            if pending is not None:
                totals = self._add(totals, pending)
            pending = metrics
            if several:  # independent programs in flight could meet in another order elsewhere
                jax.block_until_ready(metrics)
        totals, metadata = self._add(totals, pending), data.metadata()
        finish = functools.partial(task.finish, totals, metadata, data.target_tokenizer(metadata))
        return signals.run(finish), totals

    def _add(self, totals: Metrics, metrics: Metrics) -> Metrics:
        metrics = dict(metrics)
        stop = metrics.pop(STOP, None)
        received = self._signals.received if stop is None else int(stop[0])
        if received:
            raise Stopped(received)
        return add(totals, metrics)


def add(totals: Metrics, metrics: Metrics) -> Metrics:
    """The totals with one batch more, on the host (waits for the device): sums in float64, rows
    without those that only fill the batch."""
    new = {}
    for name, metric in sharding.fetch(metrics).items():
        before = totals.get(name)
        if isinstance(metric, Rows):
            counts = np.flatnonzero(metric.mask)
            rows = jax.tree.map(lambda a, counts=counts: [a[i] for i in counts], metric.values)
            if before is not None:
                rows = jax.tree.map(
                    operator.add, before.values, rows, is_leaf=lambda a: isinstance(a, list)
                )
            new[name] = Rows(rows, None)
        else:
            total = before or (0.0, 0.0)
            new[name] = tuple(
                t + np.asarray(x, np.float64) for t, x in zip(total, metric, strict=True)
            )
    return new
