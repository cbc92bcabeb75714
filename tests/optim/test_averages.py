"""Averages of the parameters: against sums in float64, and that a kill changes nothing of them.

Of NT-ASGD also when the mean begins.
"""

import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.cli.verify import differences
from nets.optim.averages import EMA, NTASGD, Polyak
from nets.optim.optimizer import Optimizer
from nets.optim.rules import SGD
from nets.report import metrics_log
from nets.train import checkpoint, resume, sharding, train_state
from nets.train.progress import Progress
from nets.train.signals import Signals
from nets.train.step import make_train_step
from tests.support import toys
from tests.train.test_loop import fit

EVERY, STEPS, N = 2, 32, 1


def train(experiment, state, steps):
    """The states after each of the steps."""
    step, left = jax.jit(make_train_step(experiment)), []
    for i in range(steps):
        state, _ = step(state, toys.batch(experiment, i))
        left.append(state)
    return left


def close(found, wanted, **tolerance):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **tolerance), found, wanted)


def moving_mean(params, decay):
    """Of params [n], each weighted by d^(n-i) (1-d) / (1-d^n), in float64."""
    n = len(params)
    weights = [decay ** (n - i) * (1 - decay) / (1 - decay**n) for i in range(1, n + 1)]
    assert np.isclose(sum(weights), 1)
    return jax.tree.map(
        lambda *ps: sum(w * np.asarray(p, float) for w, p in zip(weights, ps, strict=True)), *params
    )


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("decay", [0.75, 0.9999])
def test_the_moving_average_is_corrected_for_its_start(decay, accumulate):
    experiment = toys.classifier(
        average=EMA(decay), accumulate=accumulate, optimizer=Optimizer(SGD(), 0.5)
    )
    state = jax.jit(train_state.make_init(experiment))()
    close(train_state.evaluated(state), state.params, rtol=0)
    left = train(experiment, state, 12)
    for n in (1, 2, 12):
        wanted = moving_mean([state.params for state in left[:n]], decay)
        close(train_state.evaluated(left[n - 1]), wanted, rtol=1e-5, atol=1e-6)
    assert jax.tree.reduce(
        max, jax.tree.map(lambda a, p: np.abs(a - p).max(), wanted, left[-1].params)
    ) > 0.05  # so the average is another than the parameters  # fmt: skip
    assert jax.jit(train_state.make_init(toys.classifier()))().average is None


def test_the_average_of_equal_parameters_is_them_after_many_steps():
    """Also where 1 - d has no exact float32: no drift in ten thousand steps."""
    experiment = toys.classifier(average=EMA(0.9999), optimizer=Optimizer(SGD(), 1e-30))
    step, batch = make_train_step(experiment), toys.batch(experiment)
    state = jax.jit(
        lambda: jax.lax.fori_loop(
            0, 10_000, lambda _, s: step(s, batch)[0], train_state.make_init(experiment)()
        )
    )()
    close(train_state.evaluated(state), state.params, rtol=1e-6, atol=1e-20)


@pytest.mark.parametrize("average", [EMA(0.999), pytest.param(Polyak(1), marks=pytest.mark.slow)])
def test_bfloat16_parameters_are_averaged_in_float32(average, tmp_path):
    model = toys.BatchNormNet(param_dtype=jnp.bfloat16, dropout=0.1)
    experiment = toys.classifier(
        model=model, optimizer=Optimizer(SGD(), 0.05), steps=300, eval_every=100, average=average
    )
    state = jax.jit(train_state.make_init(experiment))()
    close(train_state.evaluated(state), state.params, rtol=0)
    left = train(experiment, state, 300)
    kinds = (
        {x.dtype for x in jax.tree.leaves(tree)} for tree in (left[-1].average, left[-1].params)
    )
    assert [*kinds] == [{jnp.dtype("float32")}, {jnp.dtype("bfloat16")}]
    params = [state.params for state in left]
    if average == EMA(0.999):
        wanted = moving_mean(params, 0.999)
    else:
        wanted = jax.tree.map(lambda *p: np.mean(np.asarray(p, float), 0), *params)
    # of parameters near 1, whose last bit is 4e-3; XLA may average them as they were unrounded
    close(left[-1].average, wanted, atol=1e-3)
    rounded = jax.tree.map(lambda a: np.asarray(a, jnp.bfloat16), left[-1].average)
    close(train_state.evaluated(left[-1]), rounded, rtol=0)
    fit(experiment, tmp_path)
    arrays = resume.newest(tmp_path, print)[1]
    close(resume.parameters(left[-1], arrays, "it")[0], rounded, rtol=0)


def test_an_average_begins_at_the_parameters_that_a_run_starts_from(tmp_path):
    fit(toys.classifier(average=EMA(0.9)), tmp_path / "first")
    experiment = toys.classifier(average=EMA(0.99), init_from=str(tmp_path / "first"), seed=1)
    state, _, step = resume.restore(
        experiment, tmp_path / "second", sharding.make(), Signals(), print
    )
    arrays = resume.best(tmp_path / "first", print)[1]
    given = checkpoint.flatten(train_state.evaluated(state))
    assert step == 0 and all(np.array_equal(given[p], arrays[f"average/{p}"]) for p in given)
    left = train(experiment, state, 3)
    wanted = moving_mean([state.params for state in left], 0.99)
    close(train_state.evaluated(left[-1]), wanted, rtol=1e-5, atol=1e-6)


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
            progress.count_evaluation(k, -value if maximise else value, maximise)
            if began is None and NTASGD(n).begins(progress.values, maximise):
                began = k
        assert began == trigger(values, n)
        found.add(began)
    assert {None, 2, 3, 5, 7} <= found


def test_the_mean_is_of_all_steps_from_the_trigger_on(tmp_path):
    experiment = toys.classifier(
        average=NTASGD(N),
        optimizer=Optimizer(SGD(), 0.5),
        steps=STEPS,
        eval_every=EVERY,
        save_every=10,
    )
    fit(experiment, tmp_path / "whole")
    rows = metrics_log.read(tmp_path / "whole" / "metrics.jsonl")
    values = [row["loss"] for row in rows if row["split"] == "validation"]
    since = EVERY * (1 + trigger(values, N))
    assert 2 * EVERY < since < STEPS - 4
    arrays = resume.newest(tmp_path / "whole", print)[1]
    assert arrays["average_start"] == since
    step, state = jax.jit(make_train_step(experiment)), train_state.make_init(experiment)()
    left, moved = [], []
    for i in range(STEPS):
        state, _ = step(state, toys.batch(experiment, i))
        left.append(checkpoint.flatten(jax.device_get(state.params)))
    for path, last in left[-1].items():
        mean = np.mean([params[path].astype(float) for params in left[since - 1 :]], axis=0)
        np.testing.assert_allclose(arrays[f"average/{path}"], mean, rtol=1e-4, atol=1e-6)
        moved.append(np.abs(mean - last).max())
    assert max(moved) > 1e-3
    for at in (EVERY + 1, since, since + 3):
        assert fit(experiment, tmp_path / "stopped", at) is None
    fit(experiment, tmp_path / "stopped")
    assert differences(tmp_path / "whole", tmp_path / "stopped") == []
