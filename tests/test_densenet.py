import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.densenet import DenseNet, DenseNet121, DenseNet169, DenseNet201, DenseNetBC100
from tests.test_resnet import batch, cost, parameters, random_variables, shapes

IMAGENET, CIFAR = (1, 224, 224, 3), (1, 32, 32, 3)


@pytest.mark.parametrize(
    "model, shape, count, adds",
    [
        (DenseNet121(num_classes=1000), IMAGENET, 7_978_856, 2.834e9),
        (DenseNetBC100(num_classes=10), CIFAR, 769_162, 287_929_692),
        (DenseNetBC100(num_classes=100), CIFAR, 800_032, 287_929_692),
    ],
)
def test_published_counts(model, shape, count, adds):
    variables = shapes(model, *shape)
    assert parameters(variables) == count
    exact = model.num_classes == 10
    assert cost(model, variables, *shape) == pytest.approx(adds, rel=0 if exact else 1e-3)


# A layer that sees c maps has 2c + 128c + 256 + 36,864 = 130c + 37,120 parameters, a transition
# 2c + c^2 / 2. In thousands rounded, DenseNet-169 is stem 9.5, blocks 335.0, 919.7, 4,316.2,
# 5,913.6, transitions 33.3, 132.1, 821.8 and, of 1,664 maps, norm5 and classifier 1,668.3.
@pytest.mark.parametrize(
    "model, layers, count",
    [
        (DenseNet169, (6, 12, 32, 32), 14_149_480),
        (DenseNet201, (6, 12, 48, 32), 20_013_928),
    ],
)
def test_counts_by_hand(model, layers, count):
    maps, total = 64, 49 * 3 * 64 + 2 * 64
    for i, number in enumerate(layers):
        for _ in range(number):
            total, maps = total + 130 * maps + 37_120, maps + 32
        if i < len(layers) - 1:
            total, maps = total + 2 * maps + maps * maps // 2, maps // 2
    total += 2 * maps + 1000 * maps + 1000
    assert parameters(shapes(model(num_classes=1000), 1, 32, 32, 3)) == total == count


def test_stages():
    model = DenseNet121(num_classes=0, dtype=jnp.bfloat16)
    variables = shapes(model, 2, 224, 200, 3)
    assert set(variables["params"]) == {"features"}
    assert {a.dtype for a in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    x = jax.ShapeDtypeStruct((2, 224, 200, 3), jnp.float32)
    answer, stages = jax.eval_shape(
        functools.partial(model.apply, train=False, stages=True), variables, x
    )
    assert {name: a.shape[1:] for name, a in stages.items()} == {
        "stem": (56, 50, 64),
        "layer1": (56, 50, 256),
        "layer2": (28, 25, 512),
        "layer3": (14, 12, 1024),
        "layer4": (7, 6, 1024),
        "features": (1024,),
    }
    assert answer.shape == (2, 1024)
    assert {a.dtype for a in stages.values()} == {jnp.dtype("bfloat16")}
    headed = model.clone(num_classes=7)
    logits = jax.eval_shape(functools.partial(headed.apply, train=False), shapes(headed, *CIFAR), x)
    assert (logits.shape, logits.dtype) == ((2, 7), jnp.dtype("float32"))


def test_a_transition_rounds_down():
    model = DenseNetBC100(layers=(1, 1), growth=3, width=4, compression=0.5, num_classes=2)
    params = shapes(model, *CIFAR)["params"]["features"]
    assert params["transition1"]["conv"]["kernel"].shape == (1, 1, 7, 3)


def test_without_a_bottleneck_a_layer_is_one_convolution():
    model = DenseNetBC100(layers=(2,), growth=3, width=4, bottleneck=None, num_classes=2)
    block = shapes(model, *CIFAR)["params"]["features"]["denseblock1"]
    assert set(block["denselayer2"]) == {"norm1", "conv1"}
    assert block["denselayer2"]["conv1"]["kernel"].shape == (3, 3, 7, 3)


def test_dropout_acts_while_training_but_not_in_the_stem():
    model = DenseNetBC100(layers=(1, 1), growth=3, width=4, dropout=0.5, num_classes=2)
    x, variables = batch(2, 8, 8, 3), random_variables(model, *CIFAR)

    @jax.jit
    def run(key):
        forward = functools.partial(model.apply, mutable=["batch_stats"], stages=True)
        return forward(variables, x, train=True, rngs={"dropout": key})[0][1]

    one, other = run(jax.random.key(0)), run(jax.random.key(1))
    np.testing.assert_array_equal(one["stem"], other["stem"])
    np.testing.assert_array_equal(one["layer1"][..., :4], one["stem"])
    added = one["layer1"][..., 4:]
    assert not np.allclose(added, other["layer1"][..., 4:])
    assert 0.3 < (added == 0).mean() < 0.7
    carried = one["layer2"][..., :3]  # of what the transition's convolution gives, averaged
    assert not np.allclose(carried, other["layer2"][..., :3])
    assert 0 < (carried == 0).mean() < 0.2


@pytest.mark.parametrize(
    "fields, side, message",
    [
        ({}, 28, r"DenseNet takes images .*at least 29 x 29 pixels, not \[1, 28, 28, 3\]"),
        ({"stem": "cifar"}, 7, "at least 8 x 8"),
        ({"stem": "none"}, 32, "stem must be one of imagenet, cifar, got 'none'"),
        ({"compression": 0.0}, 32, r"compression must be in \(0, 1\], got 0.0"),
        ({"compression": 1.5}, 32, "compression must .* got 1.5"),
        ({"num_classes": None}, 32, "num_classes must be .* got None"),
    ],
)
def test_refusals(fields, side, message):
    with pytest.raises(ValueError, match=message):
        shapes(DenseNet(**{"num_classes": 2} | fields), 1, side, side, 3)


@pytest.mark.parametrize("stem, least", [("imagenet", 29), ("cifar", 8)])
def test_the_least_size_is_enough(stem, least):
    model = DenseNet(layers=(1, 1, 1, 1), stem=stem, num_classes=2)
    variables, x = shapes(model, 1, least, least, 3), jax.ShapeDtypeStruct(CIFAR, jnp.float32)
    seen = jax.eval_shape(functools.partial(model.apply, train=False, stages=True), variables, x)
    assert seen[0].shape == (1, 2)
