import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.fractalnet import FractalNet, FractalNet20, FractalNet34, FractalNet40, survivors
from tests.test_resnet import batch, parameters, random_variables, shapes

IMAGES = (1, 32, 32, 3)
SMALL = FractalNet(features=(4, 5), columns=3, dropout=(0.0, 0.0), num_classes=2)


def kernels(variables):
    return [a.shape for a in jax.tree.leaves(variables["params"]) if len(a.shape) == 4]


def test_counts():
    variables = shapes(FractalNet20(num_classes=10), *IMAGES)
    assert sum(np.prod(shape) for shape in kernels(variables)) == 33_698_880
    # scale and bias of 7 normalisations a block, and the classifier
    norms = 2 * 7 * (64 + 128 + 256 + 512 + 512)
    assert parameters(variables) == 33_698_880 + norms + 512 * 10 + 10


def test_depth():
    for net, column, depth in ((FractalNet20, 3, 20), (FractalNet40, 4, 40), (FractalNet20, 1, 5)):
        model = net(column=column, num_classes=2)
        alone = of_column(shapes(model, *IMAGES), column)
        assert len(kernels(alone)) == depth
        x = jax.ShapeDtypeStruct(IMAGES, jnp.float32)
        jax.eval_shape(functools.partial(model.apply, train=False), alone, x)  # needs no more


def of_column(variables, column):
    """Variables of one column and of the classifier alone."""
    named = f"column{column}_"
    return {
        kind: {
            module: {k: v for k, v in held.items() if module == "fc" or k.startswith(named)}
            for module, held in modules.items()
        }
        for kind, modules in variables.items()
    }


def test_stages():
    model = FractalNet20(num_classes=0, dtype=jnp.bfloat16, drop_path=0.15)
    variables = shapes(model, 2, 32, 70, 3)
    assert {a.dtype for a in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    x = jax.ShapeDtypeStruct((2, 32, 70, 3), jnp.float32)
    run = functools.partial(model.apply, train=True, stages=True, mutable=["batch_stats"])
    (answer, stages), _ = jax.eval_shape(run, variables, x, rngs={"dropout": jax.random.key(0)})
    sizes = ((16, 35), (8, 17), (4, 8), (2, 4), (1, 2))
    expected = {
        f"layer{i}": (*size, width)
        for i, (size, width) in enumerate(zip(sizes, model.features, strict=True), 1)
    }
    assert {n: a.shape[1:] for n, a in stages.items()} == expected | {"features": (512,)}
    assert answer.shape == (2, 512)
    assert {a.dtype for a in stages.values()} == {jnp.dtype("bfloat16")}
    headed = model.clone(num_classes=7)
    logits = jax.eval_shape(
        functools.partial(headed.apply, train=False), shapes(headed, *IMAGES), x
    )
    assert (logits.shape, logits.dtype) == ((2, 7), jnp.dtype("float32"))


def layer(variables, block, column, place, x):
    """The convolution by shifted images, with what follows it, in evaluation."""
    name = f"column{column}_{place}"
    params, stats = (variables[k][block][name] for k in ("params", "batch_stats"))
    kernel, padded = params["conv"]["kernel"], np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    rows, columns = x.shape[1:3]
    y = sum(
        padded[:, i : i + rows, j : j + columns] @ kernel[i, j] for i in range(3) for j in range(3)
    )
    bn = params["bn"]
    y = (y - stats["bn"]["mean"]) / np.sqrt(stats["bn"]["var"] + 1e-5) * bn["scale"] + bn["bias"]
    return np.maximum(y, 0)


def halved(x):
    batch, rows, columns, channels = x.shape
    x = x[:, : rows // 2 * 2, : columns // 2 * 2]
    return x.reshape(batch, rows // 2, 2, columns // 2, 2, channels).max((2, 4))


def by_hand(variables, x, columns):
    """Logits by the expansion rule: what f_C gives is a list, whose mean the next one sees."""

    def f(order, z, block, used):
        column = columns - order + 1
        place = used.setdefault(column, 0)
        used[column] += 1
        alone = [layer(variables, block, column, place, z)]
        if order == 1:
            return alone
        middle = np.mean(f(order - 1, z, block, used), axis=0)
        return alone + f(order - 1, middle, block, used)

    for block in ("block1", "block2"):
        x = np.mean([halved(y) for y in f(columns, x, block, {})], axis=0)
    fc = variables["params"]["fc"]
    return x.mean((1, 2)) @ fc["kernel"] + fc["bias"]


@pytest.mark.parametrize("columns", [1, 3])
def test_equals_the_expansion_rule(columns):
    model, x = SMALL.clone(columns=columns), batch(2, 6, 9, 3)
    variables = random_variables(model, *IMAGES)
    logits = jax.jit(functools.partial(model.apply, train=False))(variables, x)
    expected = by_hand(variables, x, columns)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("column", [1, 2, 3])
def test_a_column_alone_is_the_chain_of_its_convolutions(column):
    x, variables = batch(2, 6, 9, 3), random_variables(SMALL, *IMAGES)
    alone = SMALL.clone(column=column)
    logits = jax.jit(functools.partial(alone.apply, train=False))(variables, x)
    for block in ("block1", "block2"):
        for place in range(2 ** (column - 1)):
            x = layer(variables, block, column, place, x)
        x = halved(x)
    fc = variables["params"]["fc"]
    expected = x.mean((1, 2)) @ fc["kernel"] + fc["bias"]
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)
    assert shapes(alone, *IMAGES) == shapes(SMALL, *IMAGES)  # a trained net's weights fit it


@pytest.mark.parametrize("inputs, rate", [(2, 0.15), (3, 0.6), (4, 1.0), (3, 0.0)])
def test_local_dropping(inputs, rate):
    """Never all; each input is alive if it is kept, or if all are dropped and it is the one."""
    number = 20_000
    keys = jax.random.split(jax.random.key(0), number)
    draw = functools.partial(survivors, inputs=inputs, rate=rate)
    alive = np.asarray(jax.jit(jax.vmap(draw))(keys))
    assert alive.shape == (number, inputs) and alive.dtype == bool
    assert alive.any(1).all()
    share = 1 - rate + rate**inputs / inputs
    np.testing.assert_allclose(alive.mean(0), share, atol=0.02)
    # alone by being spared, or by being the only one kept
    alone = rate**inputs + inputs * (1 - rate) * rate ** (inputs - 1)
    assert (alive.sum(1) == 1).mean() == pytest.approx(alone, abs=0.02)
    both = (alive[:, 0] & alive[:, 1]).mean()
    assert both == pytest.approx((1 - rate) ** 2, abs=0.02)


def training(model, variables, x, number):
    """Logits of one batch, trained on with that many keys: [number, B, 2]."""

    @jax.jit
    def run(keys):
        apply = functools.partial(model.apply, train=True, mutable=["batch_stats"])
        return jax.lax.map(lambda key: apply(variables, x, rngs={"dropout": key})[0], keys)

    return np.asarray(run(jax.random.split(jax.random.key(1), number)))


def shares(found, *expected):
    """How often the found logits are each of the expected."""
    return [np.isclose(found, e[None], rtol=1e-4, atol=1e-4).all((1, 2)).mean() for e in expected]


def test_global_dropping_keeps_one_column_of_the_whole_net():
    x, variables, number = batch(3, 4, 4, 3), random_variables(SMALL, *IMAGES), 300
    model = SMALL.clone(drop_path=0.15, global_share=1.0)
    columns = [training(SMALL.clone(column=c), variables, x, 1)[0] for c in (1, 2, 3)]
    assert not any(np.allclose(columns[i], columns[j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    found = shares(training(model, variables, x, number), *columns)
    assert sum(found) == pytest.approx(1)
    np.testing.assert_allclose(found, 1 / 3, atol=0.1)


def test_local_and_global_dropping_take_turns():
    """One block of two columns: each alone, or their mean."""
    rate, number = 0.3, 600
    model = FractalNet(features=(4,), columns=2, dropout=(0.0,), num_classes=2)
    x, variables = batch(3, 4, 4, 3), random_variables(model, *IMAGES)
    ends = [training(model.clone(column=c), variables, x, 1)[0] for c in (1, 2)]
    ends.append(training(model, variables, x, 1)[0])
    for global_share in (0.0, 0.5):
        mixed = model.clone(drop_path=rate, global_share=global_share)
        found = shares(training(mixed, variables, x, number), *ends)
        assert sum(found) == pytest.approx(1)
        mean = (1 - global_share) * (1 - rate) ** 2
        expected = [(1 - mean) / 2, (1 - mean) / 2, mean]
        np.testing.assert_allclose(found, expected, atol=0.08)


def test_dropping_is_for_training_alone():
    model = SMALL.clone(drop_path=0.15, dropout=(0.5, 0.0))
    x, variables = batch(2, 4, 4, 3), random_variables(SMALL, *IMAGES)
    calm = jax.jit(functools.partial(model.apply, train=False))(variables, x)
    np.testing.assert_allclose(calm, by_hand(variables, x, 3), rtol=1e-4, atol=1e-4)


def test_dropout_is_that_of_its_block():
    x, variables = batch(2, 4, 4, 3), random_variables(SMALL, *IMAGES)
    model = SMALL.clone(dropout=(0.0, 0.5))

    @jax.jit
    def run(key):
        apply = functools.partial(model.apply, train=True, stages=True, mutable=["batch_stats"])
        return apply(variables, x, rngs={"dropout": key})[0][1]

    one, other = run(jax.random.key(0)), run(jax.random.key(1))
    np.testing.assert_array_equal(one["layer1"], other["layer1"])
    assert not np.allclose(one["layer2"], other["layer2"])


@pytest.mark.parametrize(
    "fields, side, message",
    [
        ({}, 31, r"FractalNet takes images .*at least 32 x 32 pixels, not \[1, 31, 31, 3\]"),
        ({"column": 4}, 32, "FractalNet.column must be None or from 1 to 3, got 4"),
        ({"column": 0}, 32, "column must .* got 0"),
        ({"columns": 0}, 32, "FractalNet.columns must be at least 1, got 0"),
        ({"dropout": (0.1,)}, 32, r"one probability for each of the 5 blocks, got \(0.1,\)"),
        ({"drop_path": 1.5}, 32, r"FractalNet.drop_path must be in \[0, 1\], got 1.5"),
        ({"global_share": -0.5}, 32, "FractalNet.global_share must .* got -0.5"),
        ({"num_classes": None}, 32, "num_classes must be .* got None"),
    ],
)
def test_refusals(fields, side, message):
    with pytest.raises(ValueError, match=message):
        shapes(FractalNet(**{"num_classes": 2} | fields), 1, side, side, 3)


def test_the_one_for_large_images_has_a_resnets_stem():
    """In each block of four columns 4 of 15 convolutions see what comes into the block."""
    model, x = FractalNet34(num_classes=1000), jax.ShapeDtypeStruct((2, 224, 224, 3), jnp.float32)
    call = functools.partial(model.init_with_output, train=False, stages=True)
    (logits, stages), variables = jax.eval_shape(call, jax.random.key(0), x)
    assert logits.shape == (2, 1000) and stages["stem"].shape == (2, 56, 56, 64)
    places = [stages[f"layer{i}"].shape[1:] for i in (1, 2, 3, 4)]
    assert places == [(28, 28, 128), (14, 14, 256), (7, 7, 512), (3, 3, 1024)]
    count, seen = 7 * 7 * 3 * 64 + 2 * 64, 64
    for features in (128, 256, 512, 1024):
        count += 9 * features * (4 * seen + 11 * features) + 15 * 2 * features
        seen = features
    assert sum(p.size for p in jax.tree.leaves(variables["params"])) == count + 1025 * 1000
    with pytest.raises(ValueError, match="at least 61 x 61"):
        jax.eval_shape(call, jax.random.key(0), jax.ShapeDtypeStruct((2, 60, 60, 3), jnp.float32))
    with pytest.raises(ValueError, match="FractalNet.stem must be one of imagenet, cifar, got"):
        FractalNet34(num_classes=10, stem="none").init(jax.random.key(0), x, train=False)
