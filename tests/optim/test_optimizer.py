"""The optimizer: against rules worked out by hand, finite differences and published schedules."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nets.cli import config
from nets.errors import UserError
from nets.optim.averages import EMA, NTASGD, Polyak
from nets.optim.optimizer import Optimizer
from nets.optim.paths import kernels
from nets.optim.rules import SGD, Adam, AdamW, Lamb, Momentum, RMSpropTF, Rule
from nets.optim.schedules import Cosine, Exponential, Plateau, Step
from nets.train import train_state
from nets.train.step import make_train_step
from tests.support import toys

PARAMS = {"layer": {"kernel": jnp.array([2.0, -0.5]), "bias": jnp.array([1.0])}}
RULES = config.choices(Rule)
GRADS = {"layer": {"kernel": jnp.array([0.3, -0.4]), "bias": jnp.array([0.2])}}


def updates(optimizer, grads=GRADS, steps=1, run=100, plateau=1.0):
    """The last of `steps` equal-gradient updates; `plateau` multiplies the rate after each."""
    transformation = optimizer.build(run)
    state, params = transformation.init(PARAMS), PARAMS
    for i in range(steps):
        found, state = transformation.update(grads, state, params, lr_scale=plateau**i)
    return found["layer"]


def by_hand(rule, g, steps):
    """The last of `steps` equal-gradient updates of one weight, learning rate 0.1."""
    eps = 1e-8
    v = m = s = 0.0
    for t in range(1, steps + 1):
        if rule == "sgd":
            u = g
        elif rule in ("momentum", "nesterov"):
            v = 0.9 * v + g
            u = 0.9 * v + g if rule == "nesterov" else v
        elif rule == "rmsprop":
            s = 0.9 * s + 0.1 * g * g
            u = g / (math.sqrt(s) + eps)
        elif rule == "adagrad":
            s = s + g * g
            u = g / (math.sqrt(s) + eps)
        elif rule in ("adam", "adamw"):
            m, s = 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g * g
            u = m / (1 - 0.9**t) / (math.sqrt(s / (1 - 0.999**t)) + eps)
    return -0.1 * u


@pytest.mark.parametrize(
    "rule", ["sgd", "momentum", "nesterov", "rmsprop", "adagrad", "adam", "adamw"]
)
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("size", [1.0, 1e-5, 1e-7])  # the last makes eps a tenth of the root
def test_rules(rule, steps, size):
    grads = jax.tree.map(lambda g: size * g, GRADS)
    found = updates(Optimizer(RULES[rule](), 0.1), grads, steps)
    for name in ("kernel", "bias"):
        want = [by_hand(rule, float(g), steps) for g in grads["layer"][name]]
        np.testing.assert_allclose(found[name], want, rtol=1e-4)


@pytest.mark.parametrize("schedule", [Exponential(1, 0.5), Plateau()])
def test_tensorflows_rmsprop_by_hand(schedule):
    """Mean squares from one, epsilon in the root, each step's rate kept in the velocity."""
    optimizer = Optimizer(RMSpropTF(decay=0.8, eps=1.0), 0.1, schedule)
    second_step = updates(optimizer, steps=2, plateau=0.5 if schedule == Plateau() else 1.0)
    for g, found in zip([0.3, -0.4], second_step["kernel"], strict=True):
        first, second = 0.8 + 0.2 * g**2, 0.64 + 0.36 * g**2
        velocity = 0.9 * 0.1 * g / math.sqrt(first + 1) + 0.05 * g / math.sqrt(second + 1)
        np.testing.assert_allclose(found, -velocity, rtol=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_a_plateaus_drop_is_a_drop_of_the_learning_rate(rule):
    scheduled = updates(Optimizer(RULES[rule](), 0.1, Exponential(1, 0.5)), steps=4)
    dropped = updates(Optimizer(RULES[rule](), 0.1, Plateau()), steps=4, plateau=0.5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), scheduled, dropped)


def test_lamb_scales_a_layers_update_to_its_norm():
    found = updates(Optimizer(Lamb(eps=1e-12), 0.1))["kernel"]
    signs = np.array([1.0, -1.0])  # Adam's first update is the gradient's sign
    want = -0.1 * signs / math.sqrt(2) * np.linalg.norm([2.0, -0.5])
    np.testing.assert_allclose(found, want, rtol=1e-5)


def test_penalties_are_the_gradient_of_the_documented_objective():
    l1, l2 = 0.3, 0.7

    def objective(params):
        w = params["layer"]["kernel"]
        return l1 * np.abs(w).sum() + l2 / 2 * np.square(w).sum()

    zero = jax.tree.map(jnp.zeros_like, GRADS)
    found = updates(Optimizer(SGD(), 1.0, l1=l1, l2=l2), zero)
    assert not np.any(found["bias"])
    for i in range(2):
        step = np.zeros(2)
        step[i] = 1e-4
        up, down = ({"layer": {"kernel": np.array([2.0, -0.5]) + s}} for s in (step, -step))
        slope = (objective(up) - objective(down)) / 2e-4
        np.testing.assert_allclose(-found["kernel"][i], slope, rtol=1e-4)


def test_the_elastic_net_by_hand():
    """alpha (r sum |w| + (1 - r) / 2 sum w^2), alpha = 0.5, r = 0.2, at w = 2 and -0.5: gradients
    0.1 + 0.4 * 2 = 0.9 and -0.1 - 0.4 * 0.5 = -0.3."""
    zero = jax.tree.map(jnp.zeros_like, GRADS)
    found = updates(Optimizer(SGD(), 1.0, elastic_net=0.5, l1_ratio=0.2), zero)
    np.testing.assert_allclose(found["kernel"], [-0.9, 0.3], rtol=1e-6)
    assert not np.any(found["bias"])


def test_the_elastic_net_by_proximal_steps_is_that_of_scikit_learn():
    """Its objective is |y - X w|^2 / 2n + the penalty; the same weights are exactly zero."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    x, options = rng.normal(size=(40, 8)), {"l1_ratio": 0.75}
    y = x @ np.array([2, 0, 0, -1, 0, 0.5, 0, 0]) + rng.normal(size=40)
    want = linear_model.ElasticNet(alpha=0.4, fit_intercept=False, **options).fit(x, y).coef_
    optimizer = Optimizer(SGD(), 0.2, elastic_net=0.4, proximal=True, **options)
    transformation, params = optimizer.build(300), {"kernel": jnp.ones(8)}
    state = transformation.init(params)
    for _ in range(300):
        grads = {"kernel": jnp.float32(x.T @ (x @ params["kernel"] - y) / len(x))}
        change, state = transformation.update(grads, state, params, lr_scale=1.0)
        params = optax.apply_updates(params, change)
    np.testing.assert_allclose(params["kernel"], want, atol=1e-3)  # scikit-learn's tol is 1e-4
    np.testing.assert_array_equal(params["kernel"] == 0, want == 0)
    assert 3 <= np.sum(want == 0) <= 7


def test_a_soft_threshold_follows_the_learning_rate_and_spares_the_bias():
    """Thresholds 0.2 * 0.1 and, at half the rate on the second step, half of that."""
    zero = jax.tree.map(jnp.zeros_like, GRADS)
    options = {"l1": 0.2, "proximal": True}
    first = updates(Optimizer(Adam(), 0.1, **options), zero)
    second = updates(Optimizer(Adam(), 0.1, Exponential(1, 0.5), **options), zero, steps=2)
    dropped = updates(Optimizer(Adam(), 0.1, Plateau(), **options), zero, steps=2, plateau=0.5)
    np.testing.assert_allclose(first["kernel"], [-0.02, 0.02], rtol=1e-5)
    for found in (second, dropped):
        np.testing.assert_allclose(found["kernel"], [-0.01, 0.01], rtol=1e-4)
    assert not np.any(first["bias"])


def test_frozen_weights_have_no_soft_threshold():
    optimizer = Optimizer(SGD(), 0.1, l1=1.0, proximal=True, freeze=("layer/bias",))
    found = updates(optimizer)
    np.testing.assert_allclose(found["kernel"], [-0.13, 0.14], rtol=1e-5)
    assert not np.any(found["bias"])
    assert not np.any(updates(dataclasses.replace(optimizer, freeze=("layer/*",)))["kernel"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"elastic_net": -1.0}, "^elastic_net must be at least 0, got -1"),
        ({"l1_ratio": 1.5}, "^l1_ratio must be at least 0 and at most 1, got 1.5"),
        ({"proximal": True}, "^proximal needs an L1 penalty: l1 or elastic_net above 0"),
        ({"proximal": True, "elastic_net": 1.0, "l1_ratio": 0.0}, "^proximal needs an L1 penalty"),
    ],
)
def test_impossible_penalties_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        Optimizer(**options)


def test_decoupled_decay_bypasses_the_moments_and_the_bias():
    plain, decayed = (updates(Optimizer(AdamW(weight_decay=w), 0.1), steps=3) for w in (0.0, 0.25))
    np.testing.assert_allclose(
        decayed["kernel"] - plain["kernel"], -0.1 * 0.25 * PARAMS["layer"]["kernel"], rtol=1e-4
    )
    np.testing.assert_array_equal(decayed["bias"], plain["bias"])


def test_clipping():
    by_norm = updates(Optimizer(SGD(), 1.0, clip_norm=0.1))
    flat = np.concatenate([by_norm["kernel"], by_norm["bias"]])
    np.testing.assert_allclose(np.linalg.norm(flat), 0.1, rtol=1e-5)
    np.testing.assert_allclose(flat / -0.1, np.array([0.3, -0.4, 0.2]) / math.sqrt(0.29), rtol=1e-5)
    by_value = updates(Optimizer(SGD(), 1.0, clip_value=0.25))
    np.testing.assert_allclose(by_value["kernel"], [-0.25, 0.25])
    np.testing.assert_allclose(by_value["bias"], [-0.2])


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        (Optimizer(learning_rate=0.4), {0: 0.4, 99: 0.4}),
        (
            Optimizer(learning_rate=0.4, schedule=Step(milestones=(20, 60), factor=0.5)),
            {19: 0.4, 20: 0.2, 59: 0.2, 60: 0.1},
        ),
        (Optimizer(learning_rate=0.4, schedule=Cosine()), {0: 0.4, 50: 0.2, 100: 0.0}),
        (
            Optimizer(learning_rate=0.4, schedule=Cosine(final_fraction=0.1)),
            {0: 0.4, 50: 0.22, 100: 0.04},
        ),
        (
            Optimizer(learning_rate=0.4, schedule=Cosine(), warmup=20),
            {0: 0.0, 10: 0.2, 20: 0.4, 60: 0.2, 100: 0.0},
        ),
        (
            Optimizer(learning_rate=0.4, schedule=Exponential(every=30, factor=0.5)),
            {0: 0.4, 29: 0.4, 30: 0.2, 59: 0.2, 60: 0.1},
        ),
        (
            Optimizer(learning_rate=0.4, schedule=Exponential(every=30), warmup=10),
            {5: 0.2, 10: 0.4, 39: 0.4, 40: 0.04},
        ),
        (
            Optimizer(learning_rate=0.4, schedule=Step(milestones=(50,)), warmup=10),
            {5: 0.2, 10: 0.4, 49: 0.4, 50: 0.04},
        ),
    ],
)
def test_schedules(optimizer, expected):
    rates = optimizer.learning_rates(100)
    for step, want in expected.items():
        np.testing.assert_allclose(rates(step), want, atol=1e-7)


@pytest.mark.parametrize(
    ("make", "wrong", "valid"),
    [
        (Optimizer, {"learning_rate": -1.0}, "above 0, got -1.0"),
        (Optimizer, {"clip_norm": 0.0}, "above 0, got 0.0"),
        (Optimizer, {"warmup": -1}, "at least 0, got -1"),
        (Optimizer, {"l1": -0.1}, "at least 0, got -0.1"),
        (Optimizer, {"l2": math.nan}, "at least 0, got nan"),
        (Momentum, {"momentum": 1.0}, "at least 0 and below 1, got 1.0"),
        (Adam, {"eps": 0.0}, "above 0, got 0.0"),
        (Lamb, {"b2": 2.0}, "at least 0 and below 1, got 2.0"),
        (AdamW, {"weight_decay": -1.0}, "at least 0, got -1.0"),
        (Step, {"milestones": (5, 3)}, r"rising and above 0, got \(5, 3\)"),
        (Step, {"milestones": ()}, r"rising and above 0, got \(\)"),
        (Step, {"milestones": (3, 3)}, r"rising and above 0, got \(3, 3\)"),
        (Cosine, {"final_fraction": 2.0}, "at least 0 and at most 1, got 2.0"),
        (Exponential, {"every": 0}, "above 0, got 0"),
        (Plateau, {"patience": 0}, "at least 1, got 0"),
    ],
)
def test_impossible_values_are_refused(make, wrong, valid):
    (field,) = wrong
    with pytest.raises(UserError, match=f"^{field} must be {valid}") as refused:
        make(**wrong)
    assert refused.value.field == field


def test_a_field_that_is_impossible_is_named_by_its_path():
    with pytest.raises(UserError, match=r"^optimizer\.rule\.b1 must be .* got 1\.5"):
        config.replace(toys.classifier(optimizer=Optimizer()), {"optimizer.rule.b1": 1.5})


def test_kernels_are_told_by_name():
    tree = {"a": {"kernel": 0, "recurrent_kernel": 0, "bias": 0, "scale": 0, "embedding": 0}}
    assert kernels(tree)["a"] == {
        "kernel": True, "recurrent_kernel": True, "bias": False, "scale": False, "embedding": False
    }  # fmt: skip


def test_the_mean_of_the_parameters_from_a_step_on():
    """Polyak and Juditsky 1992: against the mean of what each step left."""
    experiment = toys.classifier(average=Polyak(3), optimizer=Optimizer(SGD(), 0.1))
    step, state = jax.jit(make_train_step(experiment)), train_state.make_init(experiment)()
    left = []
    for i in range(6):
        state, _ = step(state, toys.batch(experiment, i))
        left.append(state.params)
        counted = left[2:] or left[-1:]
        mean = jax.tree.map(lambda *a: np.mean(np.asarray(a, float), 0), *counted)
        for a, b in zip(
            jax.tree.leaves(train_state.evaluated(state)), jax.tree.leaves(mean), strict=True
        ):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "wrong", "valid"),
    [
        (EMA, {"decay": 1.0}, "above 0 and below 1, got 1.0"),
        (EMA, {"decay": 0.0}, "above 0 and below 1, got 0.0"),
        (Polyak, {"start_step": 0}, "above 0, got 0"),
        (NTASGD, {"patience": 0}, "at least 1, got 0"),
    ],
)
def test_averages_that_are_impossible_are_refused(make, wrong, valid):
    with pytest.raises(UserError, match=f"^{next(iter(wrong))} must be {valid}"):
        make(**wrong)
