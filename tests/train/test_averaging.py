"""NT-ASGD: when the mean of the parameters begins, and that a kill changes nothing of it."""

import random

import jax
import numpy as np
import pytest

from nets.train import checkpoint, metrics, resume
from nets.train import state as states
from nets.train.optimizer import Optimizer
from nets.train.resume import Progress
from nets.train.step import make_train_step
from nets.train.verify import differences
from tests import toys
from tests.train.test_loop import fit

EVERY, STEPS, N = 2, 32, 1


def trigger(values: list[float], n: int) -> int | None:
    """The evaluation t at which Merity et al. 2018, algorithm 1, begins to average."""
    logs, t = [], 0
    for v in values:
        if t > n and v > min(logs[k] for k in range(t - n)):
            return t
        logs.append(v)
        t += 1
    return None


@pytest.mark.parametrize("maximise", [False, True])
def test_evaluations_worse_than_before_are_those_of_the_paper(maximise):
    rng, found = random.Random(0), set()
    for _ in range(200):
        n, values = rng.randint(1, 3), [rng.randint(0, 6) - 0.7 * k for k in range(9)]
        progress, began = Progress(), None
        for k, value in enumerate(values):
            progress.judge(k, -value if maximise else value, maximise)
            if began is None and progress.worse_than_before(n, maximise):
                began = k
        assert began == trigger(values, n)
        found.add(began)
    assert {None, 2, 3, 5, 7} <= found


def test_the_mean_is_of_all_steps_from_the_trigger_on(tmp_path):
    experiment = toys.classifier(
        average_after=N,
        optimizer=Optimizer("sgd", 0.5),
        steps=STEPS,
        eval_every=EVERY,
        save_every=10,
    )
    fit(experiment, tmp_path / "whole")
    rows = metrics.read(tmp_path / "whole" / "metrics.jsonl")
    values = [row["loss"] for row in rows if row["split"] == "validation"]
    since = EVERY * (1 + trigger(values, N))
    assert 2 * EVERY < since < STEPS - 4
    arrays = resume.newest(tmp_path / "whole", print)[1]
    assert arrays["since"] == since
    step, state = jax.jit(make_train_step(experiment)), states.make_init(experiment)()
    left, moved = [], []
    for i in range(STEPS):
        state, _ = step(state, toys.batch(experiment, i))
        left.append(checkpoint.flatten(jax.device_get(state.params)))
    for path, last in left[-1].items():
        mean = np.mean([params[path].astype(float) for params in left[since - 1 :]], axis=0)
        np.testing.assert_allclose(arrays[f"ema/{path}"], mean, rtol=1e-4, atol=1e-6)
        moved.append(np.abs(mean - last).max())
    assert max(moved) > 1e-3
    for at in (EVERY + 1, since, since + 3):
        assert fit(experiment, tmp_path / "stopped", at) is None
    fit(experiment, tmp_path / "stopped")
    assert differences(tmp_path / "whole", tmp_path / "stopped") == []
