"""Frozen parameters: bit-identical, without optimizer state, their modules as in an evaluation."""

import contextlib
import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nets.caption import ShowAndTell, ShowAttendTell
from nets.cli import checks
from nets.errors import UserError
from nets.optim import freeze
from nets.optim.averages import EMA
from nets.optim.optimizer import Optimizer
from nets.optim.paths import flatten, matching
from nets.optim.rules import SGD, AdamW, Rule
from nets.train import resume, sharding, train_state
from nets.train.signals import Signals
from nets.train.step import make_train_step
from tests.support import toys
from tests.train.test_loop import fit

TREE = {"a": {"kernel": 0, "bias": 0}, "ab": {"c": {"kernel": 0}}}


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (("a/*",), {"a/kernel", "a/bias"}),
        (("a*/kernel",), {"a/kernel", "ab/c/kernel"}),  # * also stands for /
        (("a/bias", "ab/?/*"), {"a/bias", "ab/c/kernel"}),
        (("[ab]/b*",), {"a/bias"}),
        ((), set()),
    ],
)
def test_patterns_are_those_of_fnmatch(patterns, expected):
    chosen = flatten(matching(TREE, patterns, "field"))
    assert {path for path, is_chosen in chosen.items() if is_chosen} == expected


@pytest.mark.parametrize(
    ("pattern", "near"), [("ab/c", "ab/c/"), ("A/kernel", "a/kernel"), ("Ab/*", r"ab/\*")]
)
def test_a_pattern_that_matches_nothing_is_refused_with_near_paths(pattern, near):
    with pytest.raises(UserError, match=f"matches no parameter; near are .*{near}") as refused:
        matching(TREE, (pattern,), "optimizer.freeze")
    assert refused.value.field == "optimizer.freeze"
    experiment = toys.classifier(optimizer=Optimizer(freeze=("dense_0/*",)))
    with pytest.raises(UserError, match=r"^optimizer.freeze has dense_0/\*, .* Dense_0/\*"):
        checks.checked(experiment, {})


def test_a_module_is_frozen_with_all_of_its_parameters():
    frozen = {"a": {"x": {"kernel": True}, "y": {"kernel": True, "bias": False}}, "b": {"w": True}}
    assert freeze.frozen_modules(frozen) == {("a", "x"), ("b",)}


@pytest.mark.parametrize("average", [None, EMA(0.9)])
def test_what_is_frozen_ends_bit_identical_and_the_rest_is_trained(average, tmp_path):
    optimizer = Optimizer(
        AdamW(weight_decay=0.3), 0.05, l1=0.1, l2=0.1, clip_norm=1.0, freeze=("Dense_0/*", "*/bias")
    )
    experiment = toys.classifier(optimizer=optimizer, average=average)
    state, *_ = resume.restore(experiment, tmp_path, sharding.make(), Signals(), print)
    before = flatten(state.params)
    assert fit(experiment, tmp_path, at=7) is None
    fit(experiment, tmp_path)
    after = resume.newest(tmp_path, print)[1]
    same = {path for path in before if np.array_equal(before[path], after[f"params/{path}"])}
    assert same == {"Dense_0/kernel", "Dense_0/bias", "BatchNorm_0/bias", "Dense_1/bias"}
    moments = {path.partition("/mu/")[2] for path in after if "/mu/" in path}
    assert moments == before.keys() - same


def test_minus_zero_stays_minus_zero():
    experiment = toys.classifier(optimizer=Optimizer(SGD(), 0.1, freeze=("Dense_0/*",)))
    state = train_state.make_init(experiment)()
    params = jax.tree.map(lambda p: -0.0 * p, state.params)
    after, _ = make_train_step(experiment)(state._replace(params=params), toys.batch(experiment))
    kept, given = after.params["Dense_0"]["kernel"], params["Dense_0"]["kernel"]
    assert np.signbit(given).any() and np.array_equal(np.signbit(kept), np.signbit(given))


@pytest.mark.parametrize("rule", [rule() for rule in Rule.__args__], ids=str)
def test_every_rule_updates_the_rest_as_it_does_alone(rule):
    rest = {"b": {"kernel": jnp.array([3.0, 1.0]), "bias": jnp.array([0.5])}}
    frozen = {"a": {"kernel": jnp.array([9.0])}}
    params, grads = frozen | rest, jax.tree.map(jnp.cos, frozen | rest)
    optimizer = Optimizer(rule, 0.1, l1=0.1, l2=0.2)
    alone = optimizer.build(9)
    wanted, _ = alone.update({"b": grads["b"]}, alone.init(rest), rest, lr_scale=0.5)
    both = dataclasses.replace(optimizer, freeze=("a/*",)).build(9)
    found, _ = both.update(grads, both.init(params), params, lr_scale=0.5)
    np.testing.assert_array_equal(found["a"]["kernel"], [0.0])
    jax.tree.map(np.testing.assert_array_equal, found["b"], wanted["b"])


class Inner(nn.Module):
    """Batch normalisation and dropout that a keyword switches."""

    @nn.compact
    def __call__(self, x, *, train):
        x = nn.BatchNorm(use_running_average=not train)(nn.Dense(5)(x))
        return nn.Dropout(0.5, deterministic=not train)(x)


class Outer(nn.Module):
    """Two of them, and a normalisation of its own."""

    num_classes: int = 3

    @nn.compact
    def __call__(self, x, *, train, stages=False):
        x = Inner(name="still")(x.reshape(len(x), -1), train=train)
        x = Inner(name="trained")(x, train=train)
        x = nn.BatchNorm(use_running_average=not train, name="norm")(x)
        return nn.Dense(self.num_classes)(x)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_frozen_normalisation_uses_its_running_statistics_and_keeps_them(accumulate):
    experiment = toys.classifier(
        model=Outer(), accumulate=accumulate, optimizer=Optimizer(freeze=("still/*", "norm/*"))
    )
    state, batch = train_state.make_init(experiment)(), toys.batch(experiment)

    def draw(a):
        return jax.random.uniform(jax.random.key(a.size), a.shape, minval=0.5)

    state = state._replace(model_state=jax.tree.map(draw, state.model_state))
    after, _ = jax.jit(make_train_step(experiment))(state, batch)
    was, now = (flatten(s.model_state["batch_stats"]) for s in (state, after))
    moved = {path for path in was if not np.array_equal(was[path], now[path])}
    assert moved == {"trained/BatchNorm_0/mean", "trained/BatchNorm_0/var"}
    if accumulate == 2:
        return
    # what the first of the trained layers sees is what an evaluation computes
    variables = {"params": state.params, **state.model_state}
    _, seen = Outer().apply(
        variables, batch["inputs"], train=False, capture_intermediates=True, mutable=True
    )
    x = seen["intermediates"]["still"]["__call__"][0]
    dense = state.params["trained"]["Dense_0"]
    mean = np.mean(np.asarray(x @ dense["kernel"]) + np.asarray(dense["bias"]), 0)
    wanted = 0.99 * was["trained/BatchNorm_0/mean"] + 0.01 * mean
    np.testing.assert_allclose(now["trained/BatchNorm_0/mean"], wanted, rtol=1e-5)


class Eyes(nn.Module):
    """Sees one pixel in four, normalised; as in an evaluation where it is told to stand still."""

    still: bool = False

    @nn.compact
    def __call__(self, x, *, train, stages):
        maps = nn.Dense(4)(x[:, ::2, ::2])
        maps = nn.BatchNorm(use_running_average=self.still or not train)(maps)
        maps = jax.lax.stop_gradient(maps) if self.still else maps
        return x, {"maps": maps, "features": maps.reshape(len(x), -1)}


@pytest.mark.parametrize("kind", ["tell", "soft", "hard"])
def test_a_captioner_whose_backbone_is_frozen_trains_as_one_whose_backbone_stands_still(kind):
    sizes = {"features": 6, "embedding": 5, "vocab_size": 9, "dropout": 0.5}

    def gradient(still):
        eyes = Eyes(still=still)
        if kind == "tell":
            model = ShowAndTell(eyes, **sizes)
        else:
            model = ShowAttendTell(eyes, "maps", hidden=7, hard=kind == "hard", **sizes)
        images = jax.random.normal(jax.random.key(1), (2, 8, 8, 3))
        captions = jnp.array([[[3, 1, 4, 0], [2, 0, 0, 0]], [[8, 5, 7, 6], [1, 2, 3, 0]]])
        keys = {"attention": jax.random.key(2), "dropout": jax.random.key(3)}
        variables = model.init(jax.random.key(0), images, captions, train=False)
        frozen = matching(variables["params"], ("backbone/*",), "freeze")

        def loss(params):
            params = params if still else freeze.stop_gradients(params, frozen)
            given = variables | {"params": params}
            around = contextlib.nullcontext() if still else freeze.as_evaluated(frozen)
            with around:
                y, state = model.apply(
                    given, images, captions, train=True, mutable=["batch_stats"], rngs=keys
                )
            same = jax.tree.map(jnp.array_equal, state["batch_stats"], variables["batch_stats"])
            return jnp.square(y).mean(), same

        return jax.jit(jax.grad(loss, has_aux=True))(variables["params"])

    (ours, same), (wanted, _) = gradient(still=False), gradient(still=True)
    assert all(jax.tree.leaves(same)) and optax.tree.norm(ours.pop("backbone")) == 0
    wanted.pop("backbone")
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), ours, wanted)
    assert optax.tree.norm(ours) > 0


def test_the_gradient_of_what_is_frozen_is_none():
    """Neither computed nor counted in the norm."""
    experiment = toys.classifier(optimizer=Optimizer(freeze=("*",)))
    _, metrics = make_train_step(experiment)(
        train_state.make_init(experiment)(), toys.batch(experiment)
    )
    assert metrics["grad_norm"][0] == 0
