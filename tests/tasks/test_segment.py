"""Segmentation: loss and metrics against plain loops and scikit-learn; void, padding, weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, jaccard_score

from nets.errors import UserError
from nets.fcn import DilatedFCN
from nets.layers.pooling import max_pool
from nets.resnet import ResNet
from nets.tasks import metrics
from nets.tasks.segment import Segment

METADATA = {"num_classes": 3, "class_names": ["sky", "road", "traffic light"]}


class Given(nn.Module):
    """A model whose logits are its inputs, times a parameter of 1."""

    auxiliary: bool = False

    @nn.compact
    def __call__(self, x, *, train, stages=False):
        logits = x * self.param("w", nn.initializers.ones, ())
        return (logits, {"aux1": 2 * x, "conv": x, "aux2": 3 * x}) if stages else logits


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    targets = rng.integers(-1, 3, (4, 6, 7)).astype(np.int32)
    logits = rng.normal(size=(4, 6, 7, 3)).astype(np.float32)
    logits += 2 * np.eye(3, dtype=np.float32)[np.maximum(targets, 0)] * rng.random((4, 6, 7, 1))
    mask = np.array([1, 1, 1, 0], np.float32)
    return {"inputs": jnp.asarray(logits, jnp.float32), "targets": jnp.asarray(targets)} | {
        "mask": jnp.asarray(mask)
    }


def counted(batch):
    """Targets, logits and predictions of the pixels that count, as plain arrays."""
    targets, logits = (np.asarray(batch[k][:3]) for k in ("targets", "inputs"))
    real = targets >= 0
    return targets[real], logits[real], logits[real].argmax(-1)


def evaluated(task, batches, final=True):
    model, totals = Given(), {}
    params, state = task.init(model, jax.random.key(0), batches[0])
    test = jax.jit(lambda batch: task.test(model, params, state, batch, jax.random.key(0), final))
    for batch in batches:
        totals = metrics.add(totals, test(batch)[1])
    return totals


def test_scores_of_a_split_are_scikit_learns(batch):
    parts = [jax.tree.map(lambda a, rows=rows: a[rows], batch) for rows in (np.r_[:2], np.r_[2:4])]
    task = Segment(trimap=1)
    totals = evaluated(task, parts)
    values = task.finish(totals, METADATA, None)
    targets, logits, predictions = counted(batch)
    np.testing.assert_array_equal(totals["confusion"][0], confusion_matrix(targets, predictions))
    assert values["accuracy"] == pytest.approx(np.mean(targets == predictions))
    assert values["class_accuracy"] == pytest.approx(balanced_accuracy_score(targets, predictions))
    each = jaccard_score(targets, predictions, average=None)
    assert values["mean_iou"] == pytest.approx(each.mean())
    names = ["iou_sky", "iou_road", "iou_traffic_light"]
    assert [values[name] for name in names] == pytest.approx(list(each))
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    losses = -np.log(shares[np.arange(len(targets)), targets])
    assert values["loss"] == pytest.approx(losses.mean(), rel=1e-5)


def test_classes_come_one_by_one_in_the_closing_evaluation_alone(batch):
    task = Segment()
    values = task.finish(evaluated(task, [batch], final=False), METADATA, None)
    names = {"loss", "accuracy", "class_accuracy", "mean_iou", "boundary_iou"}
    assert set(values) == names
    closing = task.finish(evaluated(task, [batch]), METADATA, None)
    assert {k: closing[k] for k in names} == values


def test_a_class_that_is_neither_there_nor_predicted_is_left_out(batch):
    logits = batch["inputs"].at[..., 2].set(-9)
    targets = jnp.where(batch["targets"] == 2, -1, batch["targets"])
    batch = batch | {"inputs": logits, "targets": targets}
    task = Segment()
    values = task.finish(evaluated(task, [batch]), METADATA, None)
    truth, _, predictions = counted(batch)
    each = jaccard_score(truth, predictions, average=None)
    assert len(each) == 2 and values["mean_iou"] == pytest.approx(each.mean())
    assert values["class_accuracy"] == pytest.approx(balanced_accuracy_score(truth, predictions))
    assert "iou_traffic_light" not in values


@pytest.mark.parametrize("width", [1, 2, 9])
def test_boundary_iou_is_that_of_the_pixels_near_another_label(batch, width):
    task = Segment(trimap=width)
    truth = np.zeros((4, 6, 7), int)
    truth[:, :, 4:], truth[1, 3:], truth[2, 0, 0] = 1, 2, -1  # void has a boundary too
    batch = batch | {"targets": jnp.asarray(truth, jnp.int32)}
    near = []
    for b, i, j in np.ndindex(3, 6, 7):
        window = truth[b, max(i - width, 0) : i + width + 1, max(j - width, 0) : j + width + 1]
        if truth[b, i, j] >= 0 and (window != truth[b, i, j]).any():
            near.append((b, i, j))
    assert width < 9 or len(near) == 3 * 6 * 7 - 1
    rows = tuple(np.array(near).T)
    predictions = np.asarray(batch["inputs"]).argmax(-1)[rows]
    each = jaccard_score(truth[rows], predictions, average=None)
    values = task.finish(evaluated(task, [batch]), METADATA, None)
    assert values["boundary_iou"] == pytest.approx(each.mean())


def test_pixels_weigh_as_their_class_in_the_loss_alone(batch):
    weights = np.array([0.5, 2.0, 3.0], np.float32)
    weighted = batch | {"class_weights": jnp.tile(weights, (4, 1))}
    task = Segment()
    plain, values = (task.finish(evaluated(task, [b]), METADATA, None) for b in (batch, weighted))
    targets, logits, _ = counted(batch)
    losses = np.log(np.exp(logits).sum(-1)) - logits[np.arange(len(targets)), targets]
    expected = np.average(losses, weights=weights[targets])
    assert values["loss"] == pytest.approx(expected, rel=1e-5)
    assert {k: v for k, v in values.items() if k != "loss"} == {
        k: v for k, v in plain.items() if k != "loss"
    }


def test_auxiliary_heads_count_in_what_is_minimised_alone(batch):
    model, task = Given(auxiliary=True), Segment(auxiliary=0.4)
    params, state = task.init(model, jax.random.key(0), batch)
    loss, (_, sums) = task.loss(model, params, state, batch, jax.random.key(0), train=True)
    targets, logits, _ = counted(batch)

    def criterion(scale):
        scores = scale * logits
        return np.mean(np.log(np.exp(scores).sum(-1)) - scores[np.arange(len(targets)), targets])

    assert float(metrics.mean(sums["loss"])) == pytest.approx(criterion(1), rel=1e-5)
    expected = criterion(1) + 0.4 * (criterion(2) + criterion(3))
    assert float(loss) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_dilated_fcns_auxiliary_head_learns_by_its_own_logits():
    backbone = ResNet((1, 1, 1, 1), width=4, num_classes=0, dilated_stages=2)
    model, task = DilatedFCN(backbone, num_classes=3, auxiliary=True, dropout=0.0), Segment(0.4)
    key = jax.random.key(0)
    batch = {
        "inputs": jax.random.normal(key, (2, 16, 16, 3)),
        "targets": jax.random.randint(key, (2, 16, 16), -1, 3),
    }
    params, state = jax.jit(lambda: task.init(model, key, batch))()

    def loss(params):
        return task.loss(model, params, state, batch, key, train=True)[0]

    slope = jax.jit(jax.grad(loss))(params)["aux_classifier_4"]["bias"]
    variables, options = {"params": params, **state}, {"train": True, "mutable": [*state]}
    stages = model.apply(variables, batch["inputs"], stages=True, **options)[0][1]
    targets = np.asarray(batch["targets"])
    errors = np.asarray(jax.nn.softmax(stages["aux1"]) - jax.nn.one_hot(targets, 3))
    np.testing.assert_allclose(slope, 0.4 * errors[targets >= 0].mean(0), rtol=1e-3, atol=1e-6)


def test_void_has_no_gradient_and_a_batch_of_it_alone_no_loss(batch):
    task, model = Segment(), Given()
    params, state = task.init(model, jax.random.key(0), batch)

    def loss(x, targets):
        row = batch | {"inputs": x, "targets": targets}
        return task.loss(model, params, state, row, jax.random.key(0), train=True)[0]

    slope = jax.grad(loss)(batch["inputs"], batch["targets"])
    silent = (np.asarray(batch["targets"]) < 0) | (np.arange(4) == 3)[:, None, None]
    assert not np.asarray(slope)[silent].any() and np.asarray(slope)[~silent].any(-1).all()
    void = jnp.full_like(batch["targets"], -1)
    value, slope = jax.value_and_grad(loss)(batch["inputs"], void)
    assert value == 0 and not slope.any()


class Halving(nn.Module):
    """A model whose logits are half as large as its images."""

    @nn.compact
    def __call__(self, x, *, train):
        return max_pool(nn.Dense(3)(x), 2, 2)


@pytest.mark.parametrize(
    ("task", "model", "targets", "message"),
    [
        (
            Segment(), Halving(), jnp.zeros((2, 8, 8), jnp.int32),
            r"logits of Halving must be .* for targets \[B, H, W\] = \[2, 8, 8\], "
            r"got \[2, 4, 4, 3\]",
        ),
        (Segment(), Given(), jnp.zeros((2,), jnp.int32), r"int \[B, H, W\], got int32 \[2\]"),
        (Segment(), Given(), jnp.zeros((2, 8, 8)), r"int \[B, H, W\], got float32 \[2, 8, 8\]"),
        (
            Segment(auxiliary=0.3), Given(), jnp.zeros((2, 8, 8), jnp.int32),
            "auxiliary must be 0 for Given without auxiliary heads",
        ),
        (
            Segment(), Given(auxiliary=True), jnp.zeros((2, 8, 8), jnp.int32),
            "auxiliary must be above 0 for Given with auxiliary heads",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(task, model, targets, message):
    batch = {"inputs": jnp.zeros((2, 8, 8, 3)), "targets": targets}
    with pytest.raises(UserError, match=message):
        jax.eval_shape(lambda: task.init(model, jax.random.key(0), batch))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"trimap": 0}, "trimap must be at least 1, got 0"),
        ({"auxiliary": -1.0}, "auxiliary must be at least 0, got -1"),
    ],
)
def test_impossible_tasks_are_refused(fields, message):
    with pytest.raises(UserError, match=message):
        Segment(**fields)
