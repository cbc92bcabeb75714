"""One pass over a split."""

import collections
import functools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grain
import jax
import numpy as np
from jax.sharding import Mesh

from nets.data.dataset import Dataset
from nets.tasks.task import Metrics, Trained
from nets.train import sharding as meshes
from nets.train.experiment import Experiment
from nets.train.signals import Signals, Stopped
from nets.train.step import STOP, make_eval_step, make_fresh_carry


def read(batches: grain.MapDataset, data: Dataset, start: int = 0) -> Iterator[dict[str, Any]]:
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

    @functools.cached_property
    def _step(self):
        return jax.jit(make_eval_step(self._experiment))

    @functools.cached_property
    def _fresh(self):
        return jax.jit(make_fresh_carry(self._experiment), out_shardings=meshes.rows(self._mesh))

    def __call__(self, params: Any, model_state: dict, split: str) -> dict[str, float]:
        """The finished metrics of a split.

        Raises:
            Stopped: the processes agreed to stop before the end.
        """
        signals, several = self._signals, jax.process_count() > 1
        sums, pending, first = None, None, True
        for batch in read(self._experiment.data.evaluate(split), self._experiment.data):
            batch = meshes.put(batch, meshes.rows(self._mesh))
            if first and "carry" in model_state:
                carry = signals.run(functools.partial(self._fresh, batch))
                model_state = {**model_state, "carry": carry}
            if several:
                batch[STOP] = signals.flags(self._mesh)
            call = functools.partial(self._step, params, model_state, batch)
            model_state, metrics = signals.run(call) if first else call()
            first = False
            if pending is not None:
                sums = self._add(sums, pending)
            pending = metrics
            if several:  # independent programs in flight could meet in another order elsewhere
                jax.block_until_ready(metrics)
        return self._experiment.task.finish(self._add(sums, pending))

    def last(self, params: Any, model_state: dict, split: str) -> dict[str, float]:
        """The metrics of a split, with those that a task's `judge` finds, which is slow."""
        found = self(params, model_state, split)
        task, data = self._experiment.task, self._experiment.data
        shared = {k: v for k, v in model_state.items() if k != "carry"}
        key = jax.random.key(self._experiment.seed)
        host = meshes.fetch((params, shared))
        trained = Trained(self._experiment.model, *host, data.metadata(), key)
        found |= self._signals.run(lambda: task.judge(trained, data, split))
        return found

    def _add(self, sums, metrics):
        metrics = dict(metrics)
        stop = metrics.pop(STOP, None)
        received = self._signals.received if stop is None else int(stop[0])
        if received:
            raise Stopped(received)
        return add(sums, metrics)


def add(sums: Metrics | None, metrics: Metrics) -> Metrics:
    """The sums with one batch more, in float64 on the host (waits for the device)."""
    host = {
        k: (np.asarray(s, np.float64), np.asarray(w, np.float64)) for k, (s, w) in metrics.items()
    }
    if sums is None:
        return host
    return {k: (sums[k][0] + s, sums[k][1] + w) for k, (s, w) in host.items()}
