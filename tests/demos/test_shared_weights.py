"""Accuracy over shifts, counted by hand; the loss of several nets at once."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.connectivity import Connected, EachConnected
from nets.demos import shared_weights
from nets.demos.shared_weights import CompareConnections
from nets.tasks.task import Trained


def test_accuracies_by_hand():
    """One net answers 1 if the top row is lit, the other always 1; the image is one lit place."""
    image = np.zeros((1, 5, 5, 1))
    image[0, 2, 2] = 1

    def apply(x):
        lit = x[:, 0].sum((1, 2)) > 0
        return {"top": np.stack([1 - lit, lit], 1), "always": np.tile([0.0, 1.0], (len(x), 1))}

    batches = [
        {"inputs": image, "targets": np.array([1])},
        {"inputs": image, "targets": np.array([0])},
    ]
    found = shared_weights.accuracies(apply, batches, 2)
    # of eight directions three reach the top row, when moved by two; half of the labels are 1
    np.testing.assert_allclose(found["top"], [1 / 2, 1 / 2, (3 + 5) / 16])
    np.testing.assert_allclose(found["always"], [1 / 2] * 3)
    one = shared_weights.accuracies(apply, batches[:1], 2)
    np.testing.assert_allclose(one["top"], [0, 0, 3 / 8])
    assert shared_weights.table(one).splitlines()[-1].split() == ["2", "0.375", "1.000"]


class Given:
    """A model whose nets answer what its images hold, and the opposite."""

    def apply(self, variables, x, *, train):
        return {"one": x[:, 0, :, 0], "other": -x[:, 0, :, 0]}


def test_the_loss_is_the_sum_and_padding_counts_for_nothing():
    outputs = jnp.array([[2.0, 0.0], [0.0, 1.0], [5.0, 0.0]])
    batch = {"inputs": outputs[:, None, :, None], "targets": jnp.array([0, 0, 1])}
    batch["mask"] = jnp.array([1.0, 1.0, 0.0])
    task = CompareConnections()
    loss, (_, sums) = task.loss(Given(), {}, {}, batch, jax.random.key(0), train=False)
    each = [math.log(1 + math.exp(v)) for v in (-2, 1, 2, -1)]
    np.testing.assert_allclose(loss, sum(each) / 2, rtol=1e-6)
    assert task.finish(sums, {}, None) == {"loss": float(loss), "one": 0.5, "other": 0.5}


@pytest.mark.slow
def test_one_gradient_is_that_of_each_net_alone():
    model = EachConnected(features=(2, 3), window=3, num_classes=4)
    batch = {"inputs": jax.random.normal(jax.random.key(0), (3, 6, 6, 1)), "targets": jnp.arange(3)}
    task, key = CompareConnections(), jax.random.key(1)
    rng = np.random.default_rng(0)

    def draw(leaf):
        return jnp.asarray(rng.normal(size=leaf.shape), jnp.float32)

    params = jax.tree.map(draw, jax.eval_shape(lambda: task.init(model, key, batch)[0]))
    together = jax.jit(jax.grad(lambda p: task.loss(model, p, {}, batch, key, True)[0]))(params)

    def alone(params):
        net = Connected("local", features=(2, 3), window=3, num_classes=4)
        logits = net.apply({"params": params}, batch["inputs"], train=True)
        return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(3), batch["targets"]])

    want = jax.jit(jax.grad(alone))(params["local"])

    def same(a, b):
        return np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)

    jax.tree.map(same, together["local"], want)


def test_what_is_drawn_is_what_the_data_allows():
    model = EachConnected(features=(2, 3), window=3, num_classes=4)
    image = np.zeros((2, 8, 8, 1), np.float32)
    image[:, 2:6, 2:6] = 1
    batch = {"inputs": image, "targets": np.array([0, 3]), "mask": np.ones(2)}
    shapes = jax.eval_shape(lambda: CompareConnections().init(model, jax.random.key(0), batch)[0])
    params = jax.tree.map(lambda leaf: jnp.full(leaf.shape, 0.1), shapes)
    metadata = {"margin": 2, "shift": 1, "pixel_scale": [0.5], "pixel_offset": [0.0]}
    trained = Trained(model, params, {}, metadata, None, None, None)
    found = CompareConnections().figures(trained, [batch], {}, final=True)
    chart, samples = found["shifts"].panels
    sizes = [sum(leaf.size for leaf in jax.tree.leaves(params[k])) for k in params]
    assert all(f"({n:,} par" in name for n, name in zip(sizes, chart.curves, strict=True))
    assert len(samples.images) == len(chart.x) == 3
    np.testing.assert_array_equal(samples.images[2][4:, 4:], 2 * image[0, 2:6, 2:6])
    assert samples.unit == "pixel"
