"""NASNet-A: published counts, the wiring and the drop-path schedule by hand, the auxiliary head."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets import nasnet
from nets.inspect.cost import multiply_adds
from nets.layers.classification_head import conv_and_norm
from nets.layers.conv_separable import SeparableConv
from nets.nasnet import NORMAL, REDUCTION, AuxiliaryHead, Cell, NASNet, NASNetLarge, NASNetMobile
from nets.tasks.classify import Classify
from tests.test_resnet import batch, parameters, shapes

SMALL = NASNet(cells=2, features=96, stem=4, dropout=0.0, num_classes=3)


# Keras counts the running statistics too: 36,738 and 196,668 of them.
@pytest.mark.parametrize(
    "model, side, count, total, adds",
    [
        (NASNetMobile(), 224, 5_326_716 - 36_738, 5_326_716, 564e6),
        (NASNetLarge(drop_path=0.0), 331, 88_753_150, 88_949_818, 23.8e9),
    ],
)
def test_published_counts(model, side, count, total, adds):
    model = model.clone(num_classes=1000)
    x = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    first = functools.partial(model.init_with_output, train=False)
    program, (_, variables) = jax.make_jaxpr(first, return_shape=True)(jax.random.key(0), x)
    assert set(variables) == {"params", "batch_stats"}
    assert parameters(variables) == count
    assert sum(a.size for a in jax.tree.leaves(variables)) == total
    assert multiply_adds(program) == pytest.approx(adds, rel=0.01)


def test_stages():
    model = NASNetMobile(num_classes=0, dtype=jnp.bfloat16, auxiliary=True)
    x = jax.ShapeDtypeStruct((2, 224, 200, 3), jnp.float32)
    answers = functools.partial(model.init_with_output, train=False, stages=True)
    (answer, stages), variables = jax.eval_shape(answers, jax.random.key(0), x)
    assert not {"last_linear", "aux1", "aux1_fc"} & set(variables["params"])
    assert {a.dtype for a in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    normal = [(28, 25, 264)] * 4, [(14, 13, 528)] * 4, [(7, 7, 1056)] * 4
    assert {name: a.shape[1:] for name, a in stages.items()} == {
        "conv0": (111, 99, 32),
        "cell_stem_0": (56, 50, 44),
        "cell_stem_1": (28, 25, 88),
        **{f"cell_{i}": shape for i, shape in enumerate(sum(normal, []))},
        "reduction_cell_0": (14, 13, 352),
        "reduction_cell_1": (7, 7, 704),
        "features": (1056,),
    }
    assert answer.shape == (2, 1056)
    assert {a.dtype for a in stages.values()} == {jnp.dtype("bfloat16")}


@pytest.fixture
def watch(monkeypatch):
    """Runs a net whose cells do nothing but halve and note what they are given, by names."""

    def run(model, train=True, step=0):
        made, given, rates = [], {}, {}

        def name_of(x):
            return None if x is None else next((n for n, y in made if y is x), "conv0")

        def cell(kind, features, *parts, name):
            def call(x, before, rate):
                given[name], rates[name] = (name_of(x), name_of(before)), rate
                made.append((name, x[:, :: kind.strides, :: kind.strides] + 0))
                return made[-1][1]

            return call

        def head(*parts, name):
            def call(x):
                given[name] = name_of(x)
                return jnp.zeros((len(x), 768))

            return call

        monkeypatch.setattr(nasnet, "Cell", cell)
        monkeypatch.setattr(nasnet, "AuxiliaryHead", head)
        x = jnp.zeros((1, 67, 67, 3))
        variables = model.init(jax.random.key(0), x, train=False)
        if "schedule" in variables:
            variables["schedule"]["step"] += step
        options = {"train": train, "stages": True, "mutable": ["batch_stats", "schedule"]}
        given.clear()
        updated = model.apply(variables, x, **options, rngs={"dropout": jax.random.key(0)})[1]
        return given, rates, updated.get("schedule")

    return run


WIRING = {
    "cell_stem_0": ("conv0", None),
    "cell_stem_1": ("cell_stem_0", "conv0"),
    "cell_0": ("cell_stem_1", "cell_stem_0"),
    "cell_1": ("cell_0", "cell_stem_1"),
    "reduction_cell_0": ("cell_1", "cell_0"),
    "cell_2": ("reduction_cell_0", "cell_1"),
    "cell_3": ("cell_2", "reduction_cell_0"),
    "aux1": "cell_3",
    "reduction_cell_1": ("cell_3", "cell_2"),
    "cell_4": ("reduction_cell_1", "cell_3"),
    "cell_5": ("cell_4", "reduction_cell_1"),
}


@pytest.mark.parametrize("skip", [False, True])
def test_wiring(skip, watch):
    skipped = {"cell_2": ("reduction_cell_0", "cell_0"), "cell_4": ("reduction_cell_1", "cell_2")}
    given, rates, schedule = watch(SMALL.clone(auxiliary=True, skip_reduction=skip))
    assert given == WIRING | (skipped if skip else {})
    assert set(rates.values()) == {None} and schedule is None


# of 10 cells, the rate grows by 0.5 / 10 from cell to cell at the end, by half of that half-way
@pytest.mark.parametrize("step, slope", [(0, 0), (50, 0.025), (100, 0.05), (1000, 0.05)])
def test_schedule_by_hand(step, slope, watch):
    _, rates, schedule = watch(SMALL.clone(drop_path=0.5, drop_path_steps=100), step=step)
    assert schedule["step"] == step + 1 and list(rates) == [n for n in WIRING if n != "aux1"]
    expected = [slope * number for number in range(1, 11)]
    np.testing.assert_allclose(list(rates.values()), expected, rtol=1e-6)


def test_in_evaluation_nothing_is_dropped_nor_counted_and_the_head_is_silent(watch):
    model = SMALL.clone(drop_path=0.5, auxiliary=True)
    given, rates, schedule = watch(model, train=False, step=7)
    assert schedule["step"] == 7 and set(rates.values()) == {None}
    assert given == {name: seen for name, seen in WIRING.items() if name != "aux1"}


def test_the_classify_task_carries_the_step():
    model, task = SMALL.clone(drop_path=0.5, cells=1), Classify()
    given = {"inputs": batch(2, 19, 19, 3), "targets": np.array([0, 2])}

    @jax.jit
    def steps():
        params, state = task.init(model, jax.random.key(0), given)
        first = state["schedule"]["step"]
        _, (state, _) = task.loss(model, params, state, given, jax.random.key(1), True)
        return first, state["schedule"]["step"]

    assert [int(step) for step in steps()] == [0, 1]


@pytest.mark.parametrize("kind", [NORMAL, REDUCTION])
def test_all_operations_but_the_identity_are_dropped(kind):
    """With nearly everything dropped: of a normal cell p, 0, 0, p, 0, h are left."""
    conv, norm = conv_and_norm(jnp.float32, jnp.float32, train=False)
    cell = Cell(kind, 4, conv, functools.partial(SeparableConv, use_bias=False), norm)
    x, before = batch(2, 6, 6, 8), batch(2, 6, 6, 4, seed=1)
    variables = jax.eval_shape(cell.init, jax.random.key(0), x, before, None)
    variables = jax.tree.map(lambda a: np.full(a.shape, 0.5, np.float32), variables)

    @jax.jit
    def run(rate):
        return cell.apply(variables, x, before, rate, rngs={"dropout": jax.random.key(1)})

    # the statistics and weights, all 0.5: (y - 0.5) / sqrt(0.5 + 1e-5) 0.5 + 0.5
    h = (np.maximum(x, 0).sum(-1, keepdims=True) / 2 - 0.5) / np.sqrt(0.50001) / 2 + 0.5
    h = np.repeat(h, 4, axis=-1)
    found = np.split(np.asarray(run(1 - 1e-6)), len(kind.joined), axis=-1)
    p, nothing = before, np.zeros((2, 6, 6, 4))
    expected = [p, nothing, nothing, p, nothing, h] if kind is NORMAL else [nothing[:, :3, :3]] * 4
    for part, want in zip(found, expected, strict=True):
        np.testing.assert_allclose(part, want, rtol=1e-4, atol=1e-5)


def test_auxiliary_head():
    """99 x 67 pixels leave 49 x 33 places, 25 x 17, 13 x 9, 7 x 5; 5x5 at every third of them 1."""
    model = SMALL.clone(auxiliary=True, cells=1)
    x = jax.ShapeDtypeStruct((2, 99, 67, 3), jnp.float32)
    variables = shapes(model, *x.shape)
    assert variables["params"]["aux1"]["conv"]["kernel"].shape == (1, 1, 128, 768)
    forward = functools.partial(model.apply, train=True, stages=True, mutable="batch_stats")
    (logits, stages), _ = jax.eval_shape(forward, variables, x)
    assert logits.shape == (2, 3)
    assert (stages["aux1"].shape, stages["aux1"].dtype) == ((2, 3), jnp.dtype("float32"))


# 224 and 331 pixels leave it 14 and 21 places, those 4 and 6 averages
@pytest.mark.parametrize("places, window", [(14, 4), (21, 6)])
def test_the_auxiliary_heads_window_sees_all_places(places, window):
    x = jax.ShapeDtypeStruct((1, places, places, 528), jnp.float32)
    head = AuxiliaryHead(*conv_and_norm(jnp.float32, jnp.float32, train=False))
    params = jax.eval_shape(head.init, jax.random.key(0), x)["params"]
    assert params["conv"]["kernel"].shape == (window, window, 128, 768)


def test_the_least_image_has_the_same_parameters():
    model = SMALL.clone(cells=1)
    assert shapes(model, 1, 19, 300, 3) == shapes(model, 1, 224, 224, 3)


@pytest.mark.parametrize(
    "fields, side, message",
    [
        ({}, 18, r"NASNet takes images .*at least 19 x 19 pixels, not \[1, 18, 18, 3\]"),
        ({"auxiliary": True}, 66, "at least 67 x 67"),
        ({"num_classes": None}, 32, "num_classes must be .* got None"),
        ({"features": 1000}, 32, "NASNet.features must be a multiple of 96, got 1000"),
        ({"features": 0}, 32, "multiple of 96, got 0"),
        ({"cells": 0}, 32, "NASNet.cells must be at least 1, got 0"),
        ({"drop_path_steps": 0}, 32, "NASNet.drop_path_steps must be at least 1, got 0"),
        ({"drop_path": 1.0}, 32, r"drop_path must be in \[0, 1\), got 1.0"),
    ],
)
def test_refusals(fields, side, message):
    with pytest.raises(ValueError, match=message):
        shapes(NASNet(**{"num_classes": 2} | fields), 1, side, side, 3)
