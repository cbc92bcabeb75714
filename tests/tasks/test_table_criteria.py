"""Criteria of tables: by hand, against torch's numbers, and trained against scikit-learn."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize
from sklearn import metrics
from sklearn.linear_model import LinearRegression, LogisticRegression, QuantileRegressor, Ridge
from sklearn.multiclass import OneVsRestClassifier

from nets.data.tables import Table
from nets.errors import UserError
from nets.mlp import MLP
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam, Nesterov
from nets.optim.schedules import Cosine
from nets.tasks.classify import Classify
from nets.tasks.metrics import add, roc_auc
from nets.tasks.sequence import Regress
from nets.tasks.task import Trained
from nets.train import train_state
from nets.train.experiment import Experiment
from nets.train.step import make_train_step

KEY = jax.random.key(0)
LABELS = jnp.array([1, 0, 1])


def log_loss(z, positive):
    return math.log(1 + math.exp(-z if positive else z))


def test_binary_and_one_vs_rest_by_hand():
    z = np.array([[0.3], [-1.2], [-2.0]])
    by_hand = [log_loss(0.3, True), log_loss(-1.2, False), log_loss(-2.0, True)]
    task = Classify(criterion="binary")
    np.testing.assert_allclose(task.penalty(jnp.array(z), LABELS), by_hand, rtol=1e-6)
    finished = task.finish(task.metrics(jnp.array(z), {"targets": LABELS}), {}, None)
    assert finished["accuracy"] == pytest.approx(2 / 3)
    shares = jax.nn.softmax(task.scores(jnp.array(z)))
    np.testing.assert_allclose(shares[:, 1], 1 / (1 + np.exp(-z[:, 0])), rtol=1e-6)
    z = np.array([[0.5, 2.0, -1.0], [0.1, 0.2, 0.3], [-4.0, -3.0, -5.0]])
    by_hand = [sum(log_loss(z[i, k], k == LABELS[i]) for k in range(3)) for i in range(3)]
    task = Classify(criterion="one_vs_rest")
    np.testing.assert_allclose(task.penalty(jnp.array(z), LABELS), by_hand, rtol=1e-6)
    finished = task.finish(task.metrics(jnp.array(z), {"targets": LABELS}), {}, None)
    assert finished["accuracy"] == pytest.approx(2 / 3)


def test_the_area_under_the_curve_is_the_share_of_pairs_in_order():
    rng = np.random.default_rng(0)
    targets, scores = rng.integers(0, 3, 40), rng.normal(size=(40, 3)).round(1)  # with ties
    areas = []
    for k in range(3):
        own, other = scores[targets == k, k], scores[targets != k, k]
        areas.append(np.mean([(a > b) + (a == b) / 2 for a in own for b in other]))
    assert roc_auc(targets, scores) == pytest.approx(np.mean(areas))
    one = targets < 1  # rows of one class alone have no area
    assert math.isnan(roc_auc(targets[one], scores[one]))


@pytest.mark.parametrize("criterion", ["binary", "one_vs_rest", "cross_entropy"])
def test_the_area_is_that_of_all_batches_without_padding(criterion):
    kind = "binary" if criterion == "binary" else "classes"
    data = Table(name="iris" if kind == "classes" else "breast_cancer", kind=kind)
    data = dataclasses.replace(data, eval_batch_size=16)
    task = Classify(criterion=criterion, roc_auc=True)
    model = MLP(widths=(), num_classes=data.metadata()["num_classes"])
    params, state = task.init(model, KEY, data.train(0)[0])
    totals, rows = {}, []
    for batch in data.evaluate("test"):
        totals = add(totals, task.test(model, params, state, batch, KEY, True)[1])
        real = batch["mask"] > 0
        outputs = model.apply({"params": params}, batch["inputs"], train=False)
        rows.append((batch["targets"][real], np.asarray(outputs)[real]))
    targets, z = (np.concatenate(arrays) for arrays in zip(*rows, strict=True))
    finished = task.finish(totals, data.metadata(), None)
    if criterion == "binary":
        area = metrics.roc_auc_score(targets, z[:, 0])
    elif criterion == "cross_entropy":
        shares = np.exp(z) / np.exp(z).sum(1, keepdims=True)
        area = metrics.roc_auc_score(targets, shares, multi_class="ovr")
    else:
        area = metrics.roc_auc_score(np.eye(3)[targets], z)
    assert finished["roc_auc"] == pytest.approx(area)
    trained = Trained(model, params, state, data.metadata(), None, None, KEY)
    figures = task.figures(trained, [*data.evaluate("test")], totals, True)
    assert set(figures) == {"confusion", "rejection", "roc"}  # no image, no mistakes
    last = [*figures["roc"].curves][-2]
    assert "malignant" in last if criterion == "binary" else "virginica" in last


@pytest.mark.parametrize(
    ("criterion", "outputs", "targets", "message"),
    [
        ("binary", 3, LABELS, "criterion must not be binary for a model of 3 outputs, got binary"),
        ("cross_entropy", 1, LABELS, "criterion must be binary for a model of 1 outputs, got"),
        ("one_vs_rest", 1, LABELS, "must be binary for a model of 1 outputs, got one_vs_rest"),
        ("cross_entropy", 3, jnp.zeros((3, 1)), r"must be classes, int \[B\], got float32 \[3, 1"),
    ],
)
def test_heads_that_do_not_fit_are_refused(criterion, outputs, targets, message):
    batch = {"inputs": jnp.zeros((3, 2)), "targets": targets}
    with pytest.raises(UserError, match=message):
        Classify(criterion=criterion).init(MLP(num_classes=outputs), KEY, batch)


def test_regression_criteria_by_hand():
    model = MLP(widths=(), num_classes=1)
    errors, targets = np.array([0.5, -3.0, 1.0, 2.0]), np.array([1.0, 2.0, 4.0, 9.0])
    params = {"output": {"kernel": jnp.ones((1, 1)), "bias": jnp.zeros(1)}}
    batch = {
        "inputs": jnp.array(targets + errors)[:, None],
        "targets": jnp.array(targets)[:, None],
        "mask": jnp.array([1.0, 1, 1, 0]),  # the last does not count
    }
    by_hand = {
        "squared": (0.25 + 9 + 1) / 3,
        "absolute": (0.5 + 3 + 1) / 3,
        "huber": (0.125 + 2 * (3 - 1) + 0.5) / 3,  # linear from 2 on
    }
    for criterion, loss in by_hand.items():
        task = Regress(criterion=criterion, delta=2.0)
        value, (_, sums) = task.loss(model, params, {}, batch, KEY, False)
        assert float(value) == pytest.approx(loss)
        finished = task.finish(sums, {"target_std": 10.0}, None)
        assert finished == pytest.approx(
            {
                "loss": loss,
                "rmse": 10 * math.sqrt((0.25 + 9 + 1) / 3),
                "mae": 10 * (0.5 + 3 + 1) / 3,
                "r2": metrics.r2_score(targets[:3], (targets + errors)[:3]),
            }
        )
    same = batch | {"targets": jnp.full((4, 1), 2.0)}  # 0, as scikit-learn has it
    _, (_, sums) = Regress().loss(model, params, {}, same, KEY, False)
    assert Regress().finish(sums, {}, None)["r2"] == 0
    with pytest.raises(UserError, match="delta must be above 0, got 0"):
        Regress(delta=0)
    with pytest.raises(UserError, match="criterion must be one of squared, .* got cubic"):
        Regress(criterion="cubic")


def trained(task, data, optimizer, steps):
    """Kernel [F, K] and bias [K] of a linear model trained on whole batches, in one scan."""
    model = MLP(widths=(), num_classes=data.metadata()["num_classes"])
    experiment = Experiment(model, task, data, optimizer, steps=steps)
    state = train_state.make_init(experiment)()
    update, batch = make_train_step(experiment), data.train(0)[0]
    state, _ = jax.jit(
        lambda state: jax.lax.scan(lambda s, _: (update(s, batch)[0], None), state, length=steps)
    )(state)
    output = jax.device_get(state.params)["output"]
    return output["kernel"], output["bias"], batch["inputs"], batch["targets"]


def whole(name, kind):
    data = Table(name=name, kind=kind, validation=0.0)
    return dataclasses.replace(data, batch_size=data.metadata()["train_examples"])


def test_binary_classification_is_scikit_learns_logistic_regression():
    data, c = whole("breast_cancer", "binary"), 0.1
    optimizer = Optimizer(Nesterov(), 0.3, Cosine(), l2=1 / (c * data.batch_size))
    kernel, bias, x, y = trained(Classify(criterion="binary"), data, optimizer, 1500)
    other = LogisticRegression(C=c, tol=1e-8, max_iter=1000).fit(x.astype(float), y)
    np.testing.assert_allclose(kernel[:, 0], other.coef_[0], atol=2e-4)
    np.testing.assert_allclose(bias, other.intercept_, atol=2e-4)


def test_one_vs_rest_is_as_many_logistic_regressions_and_softmax_is_scikit_learns():
    data, c = whole("wine", "classes"), 0.1
    optimizer = Optimizer(Nesterov(), 0.3, Cosine(), l2=1 / (c * data.batch_size))
    kernel, bias, x, y = trained(Classify(criterion="one_vs_rest"), data, optimizer, 1000)
    one = LogisticRegression(C=c, tol=1e-8, max_iter=1000)
    others = OneVsRestClassifier(one).fit(x.astype(float), y).estimators_
    for k, other in enumerate(others):
        np.testing.assert_allclose(kernel[:, k], other.coef_[0], atol=2e-4)
        np.testing.assert_allclose(bias[k], other.intercept_[0], atol=2e-4)
    kernel, bias, x, y = trained(Classify(), data, optimizer, 1000)
    other = one.fit(x.astype(float), y)
    np.testing.assert_allclose(kernel, other.coef_.T, atol=2e-4)
    np.testing.assert_allclose(bias - bias.mean(), other.intercept_, atol=2e-4)


def test_regression_is_that_of_scikit_learn_and_scipy():
    data = whole("diabetes", "number")
    optimizer = Optimizer(Nesterov(), 0.05, Cosine(), l2=0.1)
    kernel, bias, x, y = trained(Regress(), data, optimizer, 3000)
    x, y = x.astype(float), y[:, 0].astype(float)
    other = Ridge(alpha=len(x) * 0.1 / 2).fit(x, y)
    np.testing.assert_allclose(kernel[:, 0], other.coef_, atol=1e-4)
    np.testing.assert_allclose(bias[0], other.intercept_, atol=1e-4)
    plain, shift, *_ = trained(Regress(), data, Optimizer(Nesterov(), 0.1, Cosine()), 6000)
    other = LinearRegression().fit(x, y)
    np.testing.assert_allclose(x @ plain[:, 0] + shift[0], other.predict(x), atol=2e-3)

    def huber(w):
        e = np.abs(x @ w[:-1] + w[-1] - y)
        return np.mean(np.where(e < 0.5, e**2 / 2, 0.5 * (e - 0.25))) + 0.05 * np.sum(w[:-1] ** 2)

    task = Regress(criterion="huber", delta=0.5)
    kernel, bias, *_ = trained(task, data, optimizer, 3000)
    best = optimize.minimize(huber, np.zeros(11), method="BFGS", options={"gtol": 1e-8}).x
    np.testing.assert_allclose([*kernel[:, 0], bias[0]], best, atol=2e-4)
    rule = Optimizer(Adam(), 1e-2, Cosine())
    kernel, bias, *_ = trained(Regress(criterion="absolute"), data, rule, 6000)
    error = np.abs(x @ kernel[:, 0] + bias[0] - y).mean()
    median = QuantileRegressor(quantile=0.5, alpha=0).fit(x, y).predict(x)
    assert error == pytest.approx(np.abs(median - y).mean(), rel=1e-3)  # not the mean's
