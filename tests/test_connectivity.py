"""Nets that differ in connectivity alone: counts by hand, the same units, what each one sees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.connectivity import CONNECTIONS, Connected, EachConnected

IMAGES = jax.ShapeDtypeStruct((2, 20, 20, 1), jnp.float32)
MODELS = {c: Connected(c, num_classes=10) for c in CONNECTIONS}
SMALL = {c: Connected(c, features=(2, 3), window=3, num_classes=4) for c in CONNECTIONS}


def init(model, images=IMAGES):
    return jax.eval_shape(lambda key, x: model.init(key, x, train=False), jax.random.key(0), images)


def drawn(model, images):
    """Weights from the normal distribution."""
    rng = np.random.default_rng(0)

    def draw(leaf):
        return rng.normal(size=leaf.shape).astype(np.float32)

    return jax.tree.map(draw, init(model, images))


def test_parameters_by_hand():
    sizes = {
        c: sum(leaf.size for leaf in jax.tree.leaves(init(model))) for c, model in MODELS.items()
    }
    units, head = (10 * 10 * 8, 10 * 10 * 16), 16 * 10 + 10
    assert sizes == {
        "full": 400 * units[0] + units[0] + units[0] * units[1] + units[1] + head,
        "local": 25 * units[0] + units[0] + 25 * 8 * units[1] + units[1] + head,
        "shared": 25 * 8 + 8 + 25 * 8 * 16 + 16 + head,
    }
    together = sum(leaf.size for leaf in jax.tree.leaves(init(EachConnected(num_classes=10))))
    assert together == sum(sizes.values())


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_all_have_the_same_units(connection):
    model = MODELS[connection]

    def run(v, x):
        return model.apply(v, x, train=False, stages=True)

    logits, seen = jax.eval_shape(run, init(model), IMAGES)
    shapes = {"maps1": (2, 10, 10, 8), "maps2": (2, 10, 10, 16), "maximum": (2, 16)}
    assert {k: v.shape for k, v in seen.items()} == shapes and logits.shape == (2, 10)


@pytest.mark.parametrize(("connection", "side"), [("full", 8), ("local", 3), ("shared", 3)])
def test_what_a_unit_of_the_first_layer_sees(connection, side):
    model, x = SMALL[connection], jnp.ones((1, 8, 8, 1))
    kernel = jax.tree.map(lambda leaf: jnp.ones(leaf.shape), init(model, x))

    def unit(x):
        return model.apply(kernel, x, train=False, stages=True)[1]["maps1"][0, 1, 1, 0]

    rows, columns = np.nonzero(np.asarray(jax.grad(unit)(x))[0, :, :, 0])
    assert np.ptp(rows) + 1 == np.ptp(columns) + 1 == side


def test_shared_weights_alone_take_a_moved_picture_for_the_same():
    image = np.zeros((1, 16, 16, 1), np.float32)
    image[0, 5:8, 5:8, 0] = np.arange(1.0, 10.0).reshape(3, 3)
    moved = np.roll(image, (2, 4), axis=(1, 2))  # a multiple of the stride
    for connection, model in SMALL.items():
        variables = drawn(model, image)
        here, there = (np.asarray(model.apply(variables, x, train=False)) for x in (image, moved))
        assert np.abs(here).max() > 0
        assert np.allclose(here, there, rtol=1e-5) == (connection == "shared")


def test_side_by_side_each_answers_as_alone():
    x = jax.random.normal(jax.random.key(0), (2, 8, 8, 1))
    three = EachConnected(features=(2, 3), window=3, num_classes=4)
    variables = drawn(three, x)
    for connection, logits in three.apply(variables, x, train=False).items():
        alone = {"params": variables["params"][connection]}
        want = SMALL[connection].apply(alone, x, train=False)
        np.testing.assert_allclose(logits, want, rtol=1e-6)


def test_unknown_connections_and_axes_are_refused():
    with pytest.raises(ValueError, match="must be one of full, local, shared, got 'sparse'"):
        init(Connected("sparse", num_classes=10))
    with pytest.raises(ValueError, match=r"images \[B, H, W, C\] .*, not \[2, 400\]"):
        init(MODELS["full"], jax.ShapeDtypeStruct((2, 400), jnp.float32))
