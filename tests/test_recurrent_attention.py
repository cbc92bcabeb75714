"""The recurrent attention model: its policy's density, where gradients pass, what it has seen."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from nets.elman import Elman
from nets.lstm import LSTM
from nets.recurrent_attention import RecurrentAttention

SMALL = {"num_classes": 3, "glimpses": 4, "size": 4, "scales": 2, "hidden": 6, "features": 5}
IMAGES = np.random.default_rng(0).normal(size=(2, 12, 12, 1)).astype(np.float32)


def model(**fields) -> RecurrentAttention:
    return RecurrentAttention(**SMALL | {"cell": Elman(7, activation=jax.nn.relu)} | fields)


def started(network: RecurrentAttention):
    return network.init(jax.random.key(1), IMAGES, train=False)


def train(network, params, seed=2):
    return network.apply(params, IMAGES, train=True, rngs={"glimpse": jax.random.key(seed)})


@pytest.mark.parametrize("cell", [Elman(7, activation=jax.nn.relu), LSTM(7)])
def test_a_plain_loop_gives_the_same_logits_and_locations(cell):
    network = model(cell=cell)
    params = started(network)
    glances = network.apply(params, IMAGES, train=False)
    bound = network.bind(params)
    carry = bound.core.initial_carry((2, 5))
    location = jnp.zeros((2, 2))
    for t in range(4):
        np.testing.assert_allclose(glances.locations[:, t], location, atol=1e-6)
        carry, h = bound.core.step(carry, bound.glimpsed(IMAGES, location))
        location, _ = bound.policy(h)
    np.testing.assert_allclose(glances.logits, bound.output(h), atol=1e-6)


def test_locations_are_drawn_from_the_density_that_is_told():
    network = model(location_std=0.2)
    params = started(network)
    glances, bound = train(network, params), network.bind(params)
    carry = bound.core.initial_carry((2, 5))
    for t in range(3):
        carry, h = bound.core.step(carry, bound.glimpsed(IMAGES, glances.locations[:, t]))
        mean, baseline = bound.policy(h)
        log_p = scipy.stats.norm.logpdf(glances.locations[:, t + 1], mean, 0.2).sum(-1)
        np.testing.assert_allclose(glances.log_probability[:, t], log_p, rtol=1e-4)
        np.testing.assert_allclose(glances.baseline[:, t], baseline, rtol=1e-4, atol=1e-6)
    assert (np.abs(glances.locations - train(network, params, 3).locations) > 1e-3).all()


def test_an_evaluation_may_sample_as_training_does():
    network = model()
    params, keys = started(network), {"glimpse": jax.random.key(2)}
    sampled = network.apply(params, IMAGES, train=False, sample=True, rngs=keys)
    jax.tree.map(np.testing.assert_array_equal, sampled, train(network, params))


def test_gradients_pass_where_they_should():
    network = model()
    params = started(network)

    def norms(loss):
        gradient = jax.grad(lambda p: loss(train(network, p)))(params)["params"]
        return {k: max(float(jnp.abs(a).max()) for a in jax.tree.leaves(v))
                for k, v in gradient.items()}  # fmt: skip

    answer = norms(lambda g: g.logits[:, 0].sum())
    assert answer["location"] == answer["baseline"] == 0
    assert min(answer[k] for k in ("seen", "place", "what", "where", "core", "output")) > 0
    policy = norms(lambda g: g.log_probability.sum() + g.baseline.sum())
    assert min(policy.pop("location"), policy.pop("baseline")) > 0
    assert not any(policy.values())


def test_only_what_the_glimpses_show_is_seen():
    network = model(glimpses=1, size=4, scales=1)
    params = started(network)
    gradient = jax.grad(lambda x: network.apply(params, x, train=False).logits.sum())(IMAGES)
    outside = np.ones((12, 12), bool)
    outside[4:8, 4:8] = False
    assert not gradient[:, outside].any() and gradient[:, ~outside].any()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"glimpses": 0}, "glimpses must be at least 1"),
        ({"scales": 0}, "scales must be at least 1"),
        ({"location_std": 0.0}, "location_std must be positive"),
        ({"hidden": 0}, "hidden must be at least 1"),
        ({"num_classes": None}, "RecurrentAttention.num_classes must be at least 1, got None"),
    ],
)
def test_wrong_fields_are_told(fields, message):
    with pytest.raises(ValueError, match=message):
        started(model(**fields))
