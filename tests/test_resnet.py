import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.inspect.cost import multiply_adds
from nets.layers.scan_blocks import stack_blocks, unstack_blocks
from nets.resnet import (
    ResNet,
    ResNet18,
    ResNet34,
    ResNet50,
    ResNet101,
    ResNet152,
    ResNeXt50_32x4d,
    SEResNet50,
    WideResNet50_2,
)


def shapes(model, *shape):
    """Variables of the model, as shapes."""
    init = functools.partial(model.init, train=False)
    return jax.eval_shape(init, jax.random.key(0), jax.ShapeDtypeStruct(shape, jnp.float32))


def parameters(variables):
    return sum(a.size for a in jax.tree.leaves(variables["params"]))


def cost(model, variables, *shape):
    forward = functools.partial(model.apply, train=False)
    return multiply_adds(
        jax.make_jaxpr(forward)(variables, jax.ShapeDtypeStruct(shape, jnp.float32))
    )


def random_variables(model, *shape, seed=1):
    """Variables that hide nothing, running statistics included, and let signals through."""
    rng = np.random.default_rng(seed)

    def draw(path, a):
        if path[-1].key == "kernel":
            return rng.normal(size=a.shape) * np.sqrt(2 / np.prod(a.shape[:-1]))
        return rng.uniform(0.5, 1.5, a.shape) * (1 if path[-1].key in ("scale", "var") else 0.3)

    drawn = jax.tree_util.tree_map_with_path(draw, shapes(model, *shape))
    return jax.tree.map(np.float32, drawn)


def batch(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


# The deep ones are scanned, for speed alone: that is the same net (see below).
@pytest.mark.parametrize(
    "model, count, adds",
    [
        (ResNet18(), 11_689_512, 1.814e9),
        (ResNet34(scan_blocks=True), 21_797_672, 3.664e9),
        (ResNet50(), 25_557_032, 4.089e9),
        (ResNet101(scan_blocks=True), 44_549_160, 7.801e9),
        (ResNet152(scan_blocks=True), 60_192_808, 11.514e9),
        (ResNeXt50_32x4d(), 25_028_904, 4.23e9),
        (SEResNet50(), 28_088_024, 4.11e9),
    ],
)
def test_published_counts(model, count, adds):
    model = model.clone(num_classes=1000)
    variables = shapes(model, 1, 224, 224, 3)
    assert parameters(variables) == count
    assert cost(model, variables, 1, 224, 224, 3) == pytest.approx(adds, rel=0.01)


def test_dilation_leaves_parameters_and_halves_the_strides():
    model = ResNet50(num_classes=1000, dilated_stages=2)
    assert parameters(shapes(model, 1, 64, 96, 3)) == 25_557_032
    run = functools.partial(model.init_with_output, train=False, stages=True)
    (_, stages), _ = jax.eval_shape(run, jax.random.key(0), jnp.zeros((1, 64, 96, 3)))
    assert [stages[f"layer{i}"].shape[1:3] for i in (1, 2, 3, 4)] == [(16, 24)] + [(8, 12)] * 3


def test_wide_resnet_is_wider_inside_alone():
    def added(channels, narrow, out):
        """Weights and normalisations of a bottleneck of twice the inner width, less before."""
        inner = [n * (channels + out) + 9 * n * n + 4 * n for n in (narrow, 2 * narrow)]
        return inner[1] - inner[0]

    total, channels = 0, 64
    for narrow, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for _ in range(blocks):
            total, channels = total + added(channels, narrow, 4 * narrow), 4 * narrow
    wide = parameters(shapes(WideResNet50_2(num_classes=1000), 1, 224, 224, 3))
    assert wide == 25_557_032 + total


@pytest.mark.parametrize("version", ["v1", "v1.5", "v2"])
def test_stages(version):
    model = ResNet50(version=version, num_classes=0, dtype=jnp.bfloat16)
    variables = shapes(model, 2, 224, 200, 3)
    assert "fc" not in variables["params"]
    assert {a.dtype for a in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    x = jax.ShapeDtypeStruct((2, 224, 200, 3), jnp.float32)
    forward = functools.partial(model.apply, train=False, stages=True)
    answer, stages = jax.eval_shape(forward, variables, x)
    assert {name: a.shape[1:] for name, a in stages.items()} == {
        "stem": (56, 50, 64),
        "layer1": (56, 50, 256),
        "layer2": (28, 25, 512),
        "layer3": (14, 13, 1024),
        "layer4": (7, 7, 2048),
        "features": (2048,),
    }
    assert answer.shape == (2, 2048)
    assert {a.dtype for a in stages.values()} == {jnp.dtype("bfloat16")}
    headed = model.clone(num_classes=7)
    logits = jax.eval_shape(
        functools.partial(headed.apply, train=False), shapes(headed, 2, 64, 64, 3), x
    )
    assert (logits.shape, logits.dtype) == ((2, 7), jnp.dtype("float32"))


def test_features_are_the_average_that_the_classifier_sees():
    model = ResNet(layers=(1,), block="basic", width=4, num_classes=3)
    variables, x = random_variables(model, 1, 16, 16, 3), batch(2, 16, 16, 3)
    forward = jax.jit(functools.partial(model.apply, train=False, stages=True))
    logits, stages = forward(variables, x)
    fc = variables["params"]["fc"]
    np.testing.assert_allclose(stages["features"], stages["layer1"].mean((1, 2)), rtol=1e-5)
    by_hand = stages["features"] @ fc["kernel"] + fc["bias"][None]
    np.testing.assert_allclose(logits, by_hand, rtol=1e-4, atol=1e-5)
    body = {kind: {n: m for n, m in v.items() if n != "fc"} for kind, v in variables.items()}
    bare = jax.jit(functools.partial(model.clone(num_classes=0).apply, train=False))
    np.testing.assert_allclose(bare(body, x), stages["features"], rtol=1e-5)


@pytest.mark.parametrize(
    "version, block, zero",
    [("v1.5", "basic", ("bn2", "scale")), ("v2", "bottleneck", ("conv3", "kernel"))],
)
def test_zero_init_starts_as_the_identity_and_learns(version, block, zero):
    model = ResNet(layers=(2,), block=block, version=version, width=4, zero_init=True)
    x = batch(2, 12, 12, 3)

    @jax.jit
    def run():
        variables = model.clone(num_classes=2).init(jax.random.key(0), x, train=False)

        def loss(params):
            given = {**variables, "params": params}
            logits, seen = model.clone(num_classes=2).apply(given, x, train=False, stages=True)
            return jnp.square(logits - 1).sum(), seen

        return variables["params"], *jax.grad(loss, has_aux=True)(variables["params"])

    params, gradient, seen = run()
    module, leaf = zero
    for name in ("layer1_0", "layer1_1"):
        assert not params[name][module][leaf].any()
        assert gradient[name][module][leaf].any()
        assert params[name]["bn1" if block == "basic" else "bn2"]["scale"].all()
    if block == "basic":  # no projection
        np.testing.assert_array_equal(seen["layer1"], seen["stem"])


def test_drop_path_drops_later_blocks_more():
    """Each branch gives 1: an answer is 1 and the sum of 1 / (1 - rate) over those kept."""
    rows = 4000
    model = ResNet(layers=(2, 1), block="basic", width=2, drop_path=0.75, num_classes=0)

    def constant(path, a):
        names = [p.key for p in path]
        if names[-2] in ("bn1", "bn2", "downsample_1") and names[-1] == "bias":
            of_block = names[1].startswith("layer")
            return np.ones(a.shape, np.float32) * (names[-2] != "bn1" or not of_block)
        return np.zeros(a.shape, np.float32)

    variables = jax.tree_util.tree_map_with_path(constant, shapes(model, 1, 4, 4, 3))
    x, answers = np.zeros((rows, 4, 4, 3), np.float32), {}
    for scan in (False, True):
        net = model.clone(scan_blocks=scan)
        given = stack_blocks(variables) if scan else variables

        @functools.partial(jax.jit, static_argnums=0)
        def run(net, given):
            forward = functools.partial(net.apply, mutable=["batch_stats"], stages=True)
            (_, seen), _ = forward(given, x, train=True, rngs={"dropout": jax.random.key(3)})
            (still, _), _ = forward(given, x[:2], train=False)
            return seen, still

        answers[scan], still = run(net, given)
        np.testing.assert_allclose(still, 2)  # 1 of the projection and 1 of the branch
    # rates are 0, 0.375 and 0.75
    first, second = answers[False]["layer1"][:, 0, 0, 0], answers[False]["layer2"][:, 0, 0, 0]
    for values, base, rate in ((first, 2, 0.375), (second, 1, 0.75)):
        kept = np.isclose(values, base + 1 / (1 - rate))
        assert (kept | np.isclose(values, base)).all()
        assert kept.mean() == pytest.approx(1 - rate, abs=4 * np.sqrt(rate * (1 - rate) / rows))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.07
    for name, values in answers[False].items():
        np.testing.assert_array_equal(values, answers[True][name])


@pytest.mark.parametrize(
    "model",
    [
        ResNet(layers=(3,), width=4, version="v2", squeeze_excite=4, drop_path=0.5),
        ResNet(layers=(3,), block="basic", width=4),
    ],
)
def test_scanned_blocks_are_the_same_net(model):
    plain = model.clone(num_classes=3)
    scanned = plain.clone(scan_blocks=True)
    x, key = batch(4, 12, 12, 3), jax.random.key(5)
    variables = random_variables(plain, 1, 12, 12, 3)
    stacked = stack_blocks(variables)
    given = jax.tree.map(jnp.shape, stacked)
    assert given == jax.tree.map(jnp.shape, shapes(scanned, 1, 12, 12, 3))
    back = unstack_blocks(stacked)
    jax.tree.map(np.testing.assert_array_equal, back, variables)

    def gradient(net, variables):
        def loss(params):
            logits, updated = net.apply(
                {**variables, "params": params},
                x,
                train=True,
                mutable=["batch_stats"],
                rngs={"dropout": key},
            )
            return jnp.square(logits - 1).sum(), (logits, updated)

        grads, (logits, updated) = jax.grad(loss, has_aux=True)(variables["params"])
        return {"params": grads, **updated}, logits

    gradient = jax.jit(gradient, static_argnums=0)
    expected, logits = gradient(plain, variables)
    found, its_logits = gradient(scanned, stacked)
    np.testing.assert_allclose(its_logits, logits, rtol=1e-4, atol=1e-5)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-4)
    jax.tree.map(close, unstack_blocks(found), expected)


@pytest.mark.parametrize(
    "fields, shape, message",
    [
        ({}, (1, 32, 32), r"ResNet takes images \[B, H, W, C\].*not \[1, 32, 32\]"),
        ({"num_classes": None}, (1, 32, 32, 3), "num_classes must be .* got None"),
        ({"block": "plain"}, (1, 32, 32, 3), "block must be one of basic, bottleneck, got 'plain'"),
        ({"version": "v3"}, (1, 32, 32, 3), "version must be one of v1, v1.5, v2, got 'v3'"),
        ({"block": "basic", "groups": 2}, (1, 32, 32, 3), "must be 1 and 64 .* got 2 and 64"),
        (
            {"block": "basic", "width_per_group": 4},
            (1, 32, 32, 3),
            "must be 1 and 64 .* got 1 and 4",
        ),
        (
            {"dilated_stages": 4},
            (1, 32, 32, 3),
            "dilated_stages must be from 0 to 3, all but the first stage, got 4",
        ),
        ({"drop_path": 1.0}, (1, 32, 32, 3), r"drop_path must be in \[0, 1\), got 1.0"),
    ],
)
def test_refusals(fields, shape, message):
    with pytest.raises(ValueError, match=message):
        shapes(ResNet(**{"num_classes": 2} | fields), *shape)
