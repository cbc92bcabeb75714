"""MobileNets v1 to v3: published counts, shapes, what is refused."""

import functools
import itertools

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from nets.layers.classification_head import conv_and_norm
from nets.mobilenet import InvertedResidual, MobileNetV1, MobileNetV2, multiple_of_8
from nets.mobilenet_v3 import MobileNetV3, MobileNetV3Large, MobileNetV3Small
from tests.test_resnet import batch, cost, parameters, random_variables, shapes

IMAGENET = (1, 224, 224, 3)
V1_STAGES = {
    "stem": (112, 112, 32),
    "block1": (112, 112, 64),
    "block3": (56, 56, 128),
    "block5": (28, 28, 256),
    "block11": (14, 14, 512),
    "block13": (7, 7, 1024),
    "features": (1024,),
}
V2_STAGES = {
    "stem": (112, 112, 32),
    "block1": (112, 112, 16),
    "block3": (56, 56, 24),
    "block6": (28, 28, 32),
    "block13": (14, 14, 96),
    "block17": (7, 7, 320),
    "last": (7, 7, 1280),
    "features": (1280,),
}
LARGE_STAGES = {
    "stem": (112, 112, 16),
    "block3": (56, 56, 24),
    "block6": (28, 28, 40),
    "block12": (14, 14, 112),
    "block15": (7, 7, 160),
    "last": (7, 7, 960),
    "features": (960,),
}
SMALL_STAGES = {
    "stem": (112, 112, 16),
    "block1": (56, 56, 16),
    "block3": (28, 28, 24),
    "block8": (14, 14, 48),
    "block11": (7, 7, 96),
    "last": (7, 7, 576),
    "features": (576,),
}


# Keras counts the running statistics too: 4,253,864 and 3,538,984 in all. v1 normalises the 32
# maps of its stem and, of every separable convolution, the maps before and behind its 1x1: 10,944
# maps, each with a mean and a variance: 4,253,864 - 21,888 = 4,231,976.
@pytest.mark.parametrize(
    "model, count, total, adds",
    [
        (MobileNetV1(), 4_231_976, 4_253_864, 569e6),
        (MobileNetV2(), 3_504_872, 3_538_984, 300e6),
        (MobileNetV3Large(), 5_483_032, None, 217e6),
        (MobileNetV3Small(), 2_542_856, None, 57e6),
    ],
)
def test_published_counts(model, count, total, adds):
    model = model.clone(num_classes=1000)
    variables = shapes(model, *IMAGENET)
    assert parameters(variables) == count
    if total:
        assert sum(a.size for a in jax.tree.leaves(variables)) == total
    assert cost(model, variables, *IMAGENET) == pytest.approx(adds, rel=0.01)


def test_the_kernels_of_a_thin_v1_by_hand():
    channels = [24, 48, *2 * [96], *2 * [192], *6 * [384], *2 * [768]]
    total = 9 * 3 * channels[0]
    for before, after in itertools.pairwise(channels):
        total += 9 * before + before * after
    params = shapes(MobileNetV1(width=0.75, num_classes=0), 1, 128, 128, 3)["params"]
    leaves = jax.tree_util.tree_leaves_with_path(params)
    assert sum(a.size for path, a in leaves if path[-1].key == "kernel") == total
    thin = shapes(MobileNetV1(width=0.01, num_classes=0), 1, 32, 32, 3)["params"]
    assert thin["features_1_1"]["0"]["kernel"].shape == (1, 1, 8, 8)


@pytest.mark.parametrize("strides", [1, 2])
def test_a_strided_block_has_no_shortcut_even_at_one_place(strides):
    conv, norm = conv_and_norm(jnp.float32, jnp.float32, train=False)
    block = InvertedResidual(8, 8, strides, nn.relu, "block", conv, norm)
    x = batch(2, 1, 1, 8)
    variables = jax.eval_shape(block.init, jax.random.key(0), x)
    variables = jax.tree.map(lambda a: np.zeros(a.shape, np.float32), variables)
    np.testing.assert_array_equal(block.apply(variables, x), x if strides == 1 else 0 * x)


# The nearest multiple of 8, halves up, but the next one where that loses more than a tenth.
@pytest.mark.parametrize(
    "channels, rounded",
    [(11.2, 16), (5.6, 8), (8.4, 8), (22.4, 24), (33.6, 32), (56, 56), (1, 8), (12, 16), (18, 24)],
)
def test_rounding_by_hand(channels, rounded):
    assert multiple_of_8(channels) == rounded


@pytest.mark.parametrize(
    "model, count, expected",
    [
        (MobileNetV1(), 15, V1_STAGES),
        (MobileNetV2(), 20, V2_STAGES),
        (MobileNetV3Large(), 18, LARGE_STAGES),
        (MobileNetV3Small(), 14, SMALL_STAGES),
    ],
)
def test_stages(model, count, expected):
    def of(model, *shape):
        x = jax.ShapeDtypeStruct(shape, jnp.float32)
        answers = functools.partial(model.init_with_output, train=False, stages=True)
        return jax.eval_shape(answers, jax.random.key(0), x)

    model = model.clone(num_classes=0, dtype=jnp.bfloat16)
    (answer, stages), variables = of(model, 2, *IMAGENET[1:])
    assert not any(name.startswith("classifier") for name in variables["params"])
    assert {a.dtype for a in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    assert len(stages) == count
    assert {name: stages[name].shape[1:] for name in expected} == expected
    assert answer.shape == (2, *expected["features"])
    assert {a.dtype for a in stages.values()} == {jnp.dtype("bfloat16")}
    (logits, stages), _ = of(model.clone(num_classes=7), 2, 1, 1, 3)  # the least image
    assert (logits.shape, logits.dtype) == ((2, 7), jnp.dtype("float32"))
    if isinstance(model, MobileNetV3):
        assert stages["hidden"].shape == (2, {"large": 1280, "small": 1024}[model.variant])


def test_v1s_separable_convolution_by_numpy():
    """Window, normalisation, ReLU6, 1x1, normalisation, ReLU6; SAME puts the odd place high."""
    model = MobileNetV1(width=0.25, num_classes=0)
    variables, x = random_variables(model, 1, 16, 16, 3), batch(1, 16, 16, 3)
    for name in ("features_2_0", "features_2_1"):
        variables["params"][name]["1"]["scale"] *= 8  # so that some are cut at 6

    @jax.jit
    def blocks():
        _, seen = model.apply(variables, x, train=False, stages=True)
        return {name: seen[name] for name in ("block1", "block2")}

    seen = blocks()

    def normalised(y, name):
        weights, kept = (variables[k][name]["1"] for k in ("params", "batch_stats"))
        y = (y - kept["mean"]) / np.sqrt(kept["var"] + 1e-3) * weights["scale"] + weights["bias"]
        return np.clip(y, 0, 6)

    depthwise, pointwise = (variables["params"][f"features_2_{i}"]["0"]["kernel"] for i in (0, 1))
    padded = np.pad(seen["block1"][0], ((0, 1), (0, 1), (0, 0)))  # [8, 8, C], of stride 2
    y = np.zeros((4, 4, padded.shape[-1]))
    for row, column, i, j in np.ndindex(4, 4, 3, 3):
        y[row, column] += padded[2 * row + i, 2 * column + j] * depthwise[i, j, 0]
    y = normalised(y, "features_2_0") @ pointwise[0, 0]
    want = normalised(y, "features_2_1")
    assert 0 < (want == 6).mean() < 0.5
    np.testing.assert_allclose(seen["block2"][0], want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "model, share, low",
    [(MobileNetV1(), 0.9997, 0), (MobileNetV2(), 0.9, 1), (MobileNetV3Small(), 0.99, 1)],
)
def test_running_statistics_follow_the_stem_by_numpy(model, share, low):
    """`low` and 1 - `low` zeros pad a stem of stride 2."""
    model = model.clone(width=0.25, num_classes=2, dropout=0.0)
    x, variables = batch(4, 32, 32, 3), random_variables(model, 1, 32, 32, 3)

    @jax.jit
    def followed():
        _, state = model.apply(variables, x, train=True, mutable=["batch_stats"])
        return state["batch_stats"]["features_0"]["1"]["mean"]

    kernel = variables["params"]["features_0"]["0"]["kernel"]
    padded = np.pad(x, ((0, 0), (low, 1 - low), (low, 1 - low), (0, 0)))
    mean = sum(
        (padded[:, i : i + 31 : 2, j : j + 31 : 2] @ kernel[i, j]).mean((0, 1, 2))
        for i, j in np.ndindex(3, 3)
    )
    before = variables["batch_stats"]["features_0"]["1"]["mean"]
    want = share * before + (1 - share) * mean
    np.testing.assert_allclose(followed() - before, want - before, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("model", [MobileNetV1(), MobileNetV2(), MobileNetV3Small()])
def test_dropout_asks_for_its_key_while_training_alone(model):
    model = model.clone(dropout=0.5, num_classes=2)
    variables, x = shapes(model, 1, 8, 8, 3), jax.ShapeDtypeStruct((1, 8, 8, 3), jnp.float32)
    forward = functools.partial(model.apply, mutable=["batch_stats"])
    jax.eval_shape(functools.partial(forward, train=False), variables, x)
    with pytest.raises(flax.errors.InvalidRngError, match="dropout"):
        jax.eval_shape(functools.partial(forward, train=True), variables, x)


@pytest.mark.parametrize(
    "model, shape, message",
    [
        (MobileNetV1(), (1, 32, 32), r"MobileNetV1 takes images \[B, H, W, C\]"),
        (MobileNetV2(), (1, 0, 32, 3), "at least 1 x 1 pixels"),
        (MobileNetV2(num_classes=None), (1, 32, 32, 3), "num_classes must be .* got None"),
        (MobileNetV1(width=0.0), (1, 32, 32, 3), "MobileNetV1.width must be positive, got 0.0"),
        (MobileNetV2(width=-1.0), (1, 32, 32, 3), "MobileNetV2.width must be positive, got -1.0"),
        (MobileNetV3(width=0.0), (1, 32, 32, 3), "MobileNetV3.width must be positive"),
        (
            MobileNetV3(variant="tiny"),
            (1, 32, 32, 3),
            "variant must be one of large, small, got 'tiny'",
        ),
    ],
)
def test_refusals(model, shape, message):
    model = model if "None" in message else model.clone(num_classes=2)
    with pytest.raises(ValueError, match=message):
        shapes(model, *shape)
