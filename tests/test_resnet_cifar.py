import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers.scan_blocks import stack_blocks, unstack_blocks
from nets.resnet_cifar import CifarResNet, WideResNet
from tests.test_resnet import batch, cost, parameters, random_variables, shapes

IMAGES = (1, 32, 32, 3)


@pytest.mark.parametrize(
    "model, count, adds",
    [
        (CifarResNet(20), 269_722, 40_551_040),
        (CifarResNet(20, shortcut="none"), 269_722, 40_551_040),
        (CifarResNet(32, scan_blocks=True), 464_154, 68_862_592),
        (CifarResNet(44, scan_blocks=True), 658_586, 97_174_144),
        (CifarResNet(56, scan_blocks=True), 853_018, 125_485_696),
        (CifarResNet(110, scan_blocks=True), 1_727_962, 252_887_680),
    ],
)
def test_published_counts(model, count, adds):
    model = model.clone(num_classes=10)
    variables = shapes(model, *IMAGES)
    assert parameters(variables) == count
    assert cost(model, variables, *IMAGES) == adds


@pytest.mark.parametrize(
    "model, count, adds",
    [
        (CifarResNet(1202, scan_blocks=True, num_classes=10), 19_421_274, 2.829e9),
        (WideResNet(num_classes=10), 36_479_194, 5.243e9),
        (WideResNet(num_classes=100), 36_536_884, 5.243e9),
        (WideResNet(depth=40, width=4, num_classes=10), 8_949_210, 1.299e9),
        (WideResNet(depth=40, width=4, num_classes=100, scan_blocks=True), 8_972_340, 1.299e9),
    ],
)
def test_published_counts_rounded(model, count, adds):
    variables = shapes(model, *IMAGES)
    assert parameters(variables) == count
    assert cost(model, variables, *IMAGES) == pytest.approx(adds, rel=1e-3)


@pytest.mark.parametrize(
    "model, widths",
    [(CifarResNet(20), (16, 16, 32, 64)), (WideResNet(depth=16, width=2), (16, 32, 64, 128))],
)
def test_stages(model, widths):
    model = model.clone(num_classes=0, dtype=jnp.bfloat16)
    variables = shapes(model, 2, 32, 30, 3)
    assert "fc" not in variables["params"]
    assert {a.dtype for a in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    x = jax.ShapeDtypeStruct((2, 32, 30, 3), jnp.float32)
    forward = functools.partial(model.apply, train=False, stages=True)
    answer, stages = jax.eval_shape(forward, variables, x)
    sizes = (32, 30), (32, 30), (16, 15), (8, 8)
    expected = {
        name: (*size, width)
        for name, size, width in zip(
            ("stem", "layer1", "layer2", "layer3"), sizes, widths, strict=True
        )
    }
    assert {n: a.shape[1:] for n, a in stages.items()} == expected | {"features": widths[-1:]}
    assert answer.shape == (2, widths[-1])
    assert {a.dtype for a in stages.values()} == {jnp.dtype("bfloat16")}
    headed = model.clone(num_classes=7)
    logits = jax.eval_shape(
        functools.partial(headed.apply, train=False), shapes(headed, *IMAGES), x
    )
    assert (logits.shape, logits.dtype) == ((2, 7), jnp.dtype("float32"))


@pytest.mark.parametrize("scan", [False, True])
def test_without_shortcuts_it_is_one_convolution_after_the_other(scan):
    """By lax.conv, seven times and a linear layer; each normalised by its running statistics."""
    model = CifarResNet(14, shortcut="none", width=4, num_classes=3)
    x, variables = batch(2, 12, 12, 3), random_variables(model, *IMAGES)
    params, statistics = variables["params"], variables["batch_stats"]
    blocks = [f"layer{stage}_{i}" for stage in (1, 2, 3) for i in (0, 1)]
    layers = [(params, statistics, 1, 1)]
    layers += [(params[b], statistics[b], k, b) for b in blocks for k in (1, 2)]
    y = x
    for weights, running, k, block in layers:
        stride = 2 if k == 1 and block in ("layer2_0", "layer3_0") else 1
        kernel, norm, given = weights[f"conv{k}"]["kernel"], weights[f"bn{k}"], running[f"bn{k}"]
        axes = ("NHWC", "HWIO", "NHWC")
        y = jax.lax.conv_general_dilated(y, kernel, (stride,) * 2, ((1, 1),) * 2, None, None, axes)
        y = (np.asarray(y) - given["mean"]) / np.sqrt(given["var"] + 1e-5) * norm["scale"] + norm[
            "bias"
        ]
        y = np.maximum(y, 0)
    expected = y.mean((1, 2)) @ params["fc"]["kernel"] + params["fc"]["bias"]
    variables = stack_blocks(variables) if scan else variables
    logits = model.clone(scan_blocks=scan).apply(variables, x, train=False)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)


def test_zero_init_starts_as_the_shortcuts_alone():
    model = CifarResNet(14, width=4, zero_init=True, num_classes=0)
    x = batch(2, 12, 12, 3)
    init = functools.partial(model.init_with_output, train=False, stages=True)
    (_, stages), _ = jax.jit(init)(jax.random.key(0), x)
    stem = np.asarray(stages["stem"])
    np.testing.assert_array_equal(stages["layer1"], stem)
    np.testing.assert_array_equal(stages["layer3"][..., :4], stem[:, ::4, ::4])
    assert np.abs(stem).max() > 0.1 and not np.asarray(stages["layer3"][..., 4:]).any()


@pytest.mark.slow
def test_scanned_blocks_are_the_same_net():
    plain = CifarResNet(20, width=2, num_classes=3)
    x, variables = batch(4, 8, 8, 3), random_variables(plain, *IMAGES)
    stacked = stack_blocks(variables)
    jax.tree.map(np.testing.assert_array_equal, unstack_blocks(stacked), variables)

    @functools.partial(jax.jit, static_argnums=0)
    def gradient(net, variables):
        def loss(params):
            given = {**variables, "params": params}
            logits, updated = net.apply(given, x, train=True, mutable=["batch_stats"])
            return jnp.square(logits - 1).sum(), (logits, updated)

        grads, (logits, updated) = jax.grad(loss, has_aux=True)(variables["params"])
        return {"params": grads, **updated}, logits

    expected, logits = gradient(plain, variables)
    found, its_logits = gradient(plain.clone(scan_blocks=True), stacked)
    np.testing.assert_allclose(its_logits, logits, rtol=1e-4, atol=1e-5)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-4)
    jax.tree.map(close, unstack_blocks(found), expected)


def test_dropout_acts_between_the_convolutions_while_training():
    model = WideResNet(depth=10, width=1, dropout=0.5, num_classes=2)
    x, variables = batch(2, 8, 8, 3), random_variables(model, *IMAGES)

    @jax.jit
    def run(variables, key):
        forward = functools.partial(model.apply, mutable=["batch_stats"], stages=True)
        (_, seen), _ = forward(variables, x, train=True, rngs={"dropout": key})
        (_, calm), _ = forward(variables, x, train=False)
        return seen, calm

    (one, calm), (other, _) = (run(variables, jax.random.key(i)) for i in range(2))
    np.testing.assert_array_equal(one["stem"], other["stem"])
    assert not np.allclose(one["layer1"], other["layer1"])
    # what bn2 makes of nothing is dropped, too
    variables["params"]["layer1_0"]["conv1"]["kernel"] *= 0
    (one, calm), (other, _) = (run(variables, jax.random.key(i)) for i in range(2))
    assert not np.allclose(one["layer1"], other["layer1"])
    # but nothing comes after conv2
    variables["params"]["layer1_0"]["conv2"]["kernel"] *= 0
    (one, calm), (other, _) = (run(variables, jax.random.key(i)) for i in range(2))
    np.testing.assert_array_equal(one["layer1"], other["layer1"])
    np.testing.assert_array_equal(calm["layer1"], calm["stem"])


@pytest.mark.parametrize(
    "model, message",
    [
        (CifarResNet(21), r"CifarResNet.depth must be 6n \+ 2, such as 8, 14, 20, got 21"),
        (CifarResNet(2), r"6n \+ 2, .* got 2"),
        (CifarResNet(20, "C"), "shortcut must be one of A, B, none, got 'C'"),
        (CifarResNet(20, "none", zero_init=True), "zero_init must be false without shortcuts"),
        (WideResNet(26), r"WideResNet.depth must be 6n \+ 4, such as 10, 16, 22, got 26"),
        (WideResNet(num_classes=None), "WideResNet.num_classes must be .* got None"),
        (CifarResNet(num_classes=None), "CifarResNet.num_classes must be .* got None"),
    ],
)
def test_refusals(model, message):
    if "None" not in message:
        model = model.clone(num_classes=2)
    with pytest.raises(ValueError, match=message):
        shapes(model, *IMAGES)


@pytest.mark.parametrize("model", [CifarResNet(num_classes=2), WideResNet(num_classes=2)])
def test_only_images(model):
    with pytest.raises(ValueError, match=r"takes images \[B, H, W, C\].*not \[1, 32, 32\]"):
        shapes(model, 1, 32, 32)
