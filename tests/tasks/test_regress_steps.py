"""Regression at every step, many to many, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.elman import Elman
from nets.errors import UserError
from nets.mlp import MLP
from nets.sequence import ManyToMany, ManyToOne, OneToMany
from nets.tasks.sequence import Regress
from nets.tasks.task import Trained
from tests.tasks.test_sequence import Echo, evaluated

KEY = jax.random.key(0)


def outputs_by_hand(params, x):
    """Those [B, T, Y] of ManyToMany(cell=Elman) after x [B, T, D], in NumPy."""
    params = jax.device_get(params)
    p, head = params["recurrent"]["layer_0"], params["output"]
    h, outputs = np.zeros((len(x), len(p["bias"]))), []
    for step in np.swapaxes(x, 0, 1):
        h = np.tanh(step @ p["kernel"] + h @ p["recurrent_kernel"] + p["bias"])
        outputs.append(h @ head["kernel"] + head["bias"])
    return np.stack(outputs, 1)


# which steps count: all without a mask, those of row 0 and 2, those of a ragged batch
STEP_MASKS = {
    "none": (None, np.ones((3, 4))),
    "rows": (np.array([1, 0, 1]), np.repeat([[1], [0], [1]], 4, 1)),
    "steps": (
        np.array([[1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]]),
        np.array([[1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]]),
    ),
}


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("mask", STEP_MASKS)
def test_regression_of_every_step_by_hand(mask, train):
    rng, task = np.random.default_rng(3), Regress(tolerance=0.5)
    model = ManyToMany(num_classes=2, cell=Elman(5))
    batch = {
        "inputs": rng.normal(size=(3, 4, 3)).astype(np.float32),
        "targets": rng.normal(size=(3, 4, 2)).astype(np.float32),
    }
    given, counts = STEP_MASKS[mask]
    if given is not None:
        batch["mask"] = given.astype(np.float32)
    params, state = task.init(model, KEY, batch)
    near = np.array([[1, 1, 0, 1], [0, 1, 1, 0], [1, 1, 1, 1]])[..., None] == 1
    far = rng.normal(size=(3, 4, 2)) ** 2
    batch["targets"] = outputs_by_hand(params, batch["inputs"]) + np.where(near, 0.1 * far, 1 + far)
    distance = batch["targets"] - outputs_by_hand(params, batch["inputs"])
    right = [[max(abs(number) for number in step) < 0.5 for step in row] for row in distance]
    scored = [(i, t) for i in range(3) for t in range(4) if counts[i, t]]
    rows = [i for i in range(3) if counts[i].any()]
    errors = np.array([distance[i, t] for i, t in scored])
    targets = np.array([batch["targets"][i, t] for i, t in scored])
    expected = {
        "rmse": np.sqrt(np.mean(errors**2)),
        "mae": np.mean(np.abs(errors)),
        "r2": 1 - np.sum(errors**2) / np.sum((targets - targets.mean()) ** 2),
        "loss": np.mean([np.mean(distance[i, t] ** 2) for i, t in scored]),
        "accuracy": np.mean([right[i][t] for i, t in scored]),
        "exact_match": np.mean([all(right[i][t] for t in range(4) if counts[i, t]) for i in rows]),
    }
    assert expected["exact_match"] == pytest.approx(
        {"none": 1 / 3, "rows": 1 / 2, "steps": 1}[mask]
    )
    loss, (_, metrics) = task.loss(model, params, state, batch, KEY, train)
    assert task.finish(metrics, {}, None) == pytest.approx(expected, rel=1e-4)
    assert float(loss) == pytest.approx(expected["loss"], rel=1e-4)
    assert float(metrics["loss"][1]) == len(scored)  # so that batches add up


def test_steps_that_do_not_count_have_no_gradient():
    model, rng = ManyToMany(num_classes=1, cell=Elman(3)), np.random.default_rng(0)
    x, targets = rng.normal(size=(2, 2, 5, 1)).astype(np.float32)
    mask = (np.arange(5) < np.array([[5], [2]])).astype(np.float32)
    params, state = Regress().init(model, KEY, {"inputs": x, "targets": targets})

    def gradient(x, targets):
        batch = {"inputs": x, "targets": targets, "mask": mask}

        def loss(params):
            return Regress().loss(model, params, state, batch, KEY, True)[0]

        return jax.grad(loss)(params)

    other = gradient(x + 9 * (1 - mask[..., None]), targets - 7 * (1 - mask[..., None]))
    jax.tree.map(np.testing.assert_array_equal, gradient(x, targets), other)


def test_a_sequence_drawn_from_one_vector_may_end_early():
    """Outputs [B, T, D] of a model that is not many to many, with a mask [B, T]."""
    inputs = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    batch = {"inputs": inputs, "targets": inputs + [[[0, 2], [1, 1], [9, 9]], [[4, 0]] * 3]}
    found = evaluated(Regress(), Echo(), batch | {"mask": np.array([[1, 1, 0], [1, 0, 0.0]])})
    assert found["loss"] == pytest.approx((2 + 1 + 8) / 3)
    assert found["mae"] == pytest.approx((1 + 1 + 2) / 3)
    whole = evaluated(Regress(tolerance=1.5), Echo(), batch | {"mask": np.array([1.0, 1])})
    assert whole["loss"] == pytest.approx(((2 + 1 + 81) / 3 + 8) / 2) and whole["accuracy"] == 0


def test_targets_of_every_step_have_the_shape_of_the_outputs():
    batch = {"inputs": jnp.zeros((2, 4, 3)), "targets": jnp.zeros((2, 4))}
    with pytest.raises(UserError, match=r"outputs are \(4, 2\) a row, and the targets are \(4,\)"):
        Regress().init(ManyToMany(num_classes=2, cell=Elman(3)), KEY, batch)


def test_the_error_at_each_step_is_shown():
    model = ManyToMany(num_classes=2, cell=Elman(3))
    inputs = np.random.default_rng(0).normal(size=(3, 4, 1)).astype(np.float32)
    mask = np.array([[1, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
    batch = {"inputs": inputs, "targets": np.zeros((3, 4, 2), np.float32), "mask": mask}
    params, state = Regress().init(model, KEY, batch)
    outputs = outputs_by_hand(params, inputs)
    batch["targets"] = outputs - np.array([[1], [3], [50]])[:, None]
    trained = Trained(model, params, state, {}, None, None, KEY)
    view = Regress().figures(trained, [batch], {}, True)["error"]
    np.testing.assert_allclose(view.curves["error"], [5, 1, 1, np.nan], rtol=1e-5)
    assert view.x.tolist() == [1, 2, 3, 4] and "2 sequences" in view.title


def drawn(model, batch, metadata):
    """The figures of a model at its initial parameters, and its outputs."""
    params, state = Regress().init(model, KEY, batch)
    outputs = model.apply({"params": params}, batch["inputs"], train=False)
    trained = Trained(model, params, state, metadata, None, None, KEY)
    return Regress().figures(trained, [batch], {}, True), np.asarray(outputs)


@pytest.mark.parametrize("mask", [np.ones(2), np.array([[1, 1, 1], [1, 0, 0]])])
def test_a_sequence_from_one_vector_that_is_no_picture_is_shown_step_by_step(mask):
    model = OneToMany(length=3, outputs=2, cell=Elman(4))
    batch = {"inputs": np.ones((2, 5), np.float32), "targets": np.ones((2, 3, 2), np.float32)}
    pictures = {"shape": [3, 2, 1], "order": None, "class_names": ["a"]} if mask.ndim == 2 else {}
    figures, outputs = drawn(model, batch | {"mask": mask}, pictures)
    counts = np.broadcast_to(mask.reshape(2, -1), (2, 3))
    by_hand = [np.mean((outputs[counts[:, t] > 0, t] - 1) ** 2) for t in range(3)]
    np.testing.assert_allclose(figures["error"].curves["error"], by_hand, rtol=1e-5)


def test_one_number_of_a_sequence_or_of_a_row_is_shown_in_the_unit_of_the_target():
    rng = np.random.default_rng(0)
    batch = {"targets": rng.normal(size=(20, 1)).astype(np.float32), "mask": np.ones(20)}
    for model, shape in ((ManyToOne(1, Elman(3)), (20, 4, 2)), (MLP((), 1), (20, 2))):
        inputs = rng.normal(size=shape).astype(np.float32)
        metadata = {"target_std": 10.0, "target_mean": 100.0}
        figures, outputs = drawn(model, batch | {"inputs": inputs}, metadata)
        order = np.argsort(batch["targets"][:, 0])
        middle = [np.median(outputs[half, 0]) * 10 + 100 for half in (order[:10], order[10:])]
        np.testing.assert_allclose(figures["answers"].curves["median"], middle, rtol=1e-5)
        right = [batch["targets"][half].mean() * 10 + 100 for half in (order[:10], order[10:])]
        np.testing.assert_allclose(figures["answers"].curves["target"], right, rtol=1e-5)
