"""AlexNet, ZFNet, Network in Network, VGG, GoogLeNet and Inception-v3: counts and stages."""

import functools
import math

import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn

from nets.alexnet import AlexNet, AlexNetOriginal
from nets.googlenet import GoogLeNet, GoogLeNet2014
from nets.inception import InceptionV3
from nets.inspect.cost import multiply_adds
from nets.nin import NiN
from nets.vgg import VGG
from nets.zfnet import ZFNet

# model, pixels, parameters, multiply-adds
TABLE = [
    (AlexNet(1000), 224, 61_100_840, 0.714e9),
    (AlexNetOriginal(1000), 227, 60_965_224, 724_406_816),
    (AlexNetOriginal(1000, simplified=True), 227, 62_378_344, 1_135_256_096),
    (ZFNet(1000), 224, 62_357_608, 1.168e9),
    (NiN(10), 32, 966_986, 222_486_528),
    (VGG(16, 1000), 224, 138_357_544, 15.470e9),
    (VGG(16, 1000, batch_norm=True), 224, 138_365_992, 15.470e9),
    (VGG(19, 1000), 224, 143_667_240, 19.632e9),
    (VGG(19, 1000, batch_norm=True), 224, 143_678_248, 19.632e9),
    (GoogLeNet(1000), 224, 6_624_904, 1.498e9),
    (GoogLeNet2014(1000), 224, 6_998_552, 1.583e9),
    (GoogLeNet2014(1000, auxiliary=True), 224, 13_378_280, None),
    # the heads of 2014 (3,188,840 and 3,190,888) have two biases of 128 more, ours two norms of 256
    (GoogLeNet(1000, auxiliary=True), 224, 6_624_904 + 3_188_968 + 3_191_016, None),
    (InceptionV3(1000), 299, 27_161_264 - 3_326_696, 5.713e9),
    (InceptionV3(1000, auxiliary=True), 299, 27_161_264, None),
]


def images(height, width=None, rows=1):
    return jax.ShapeDtypeStruct((rows, height, width or height, 3), jnp.float32)


@functools.cache
def traced(model, pixels, train=False):
    """(result, stages) and variables as shapes, and the multiply-adds of the result."""

    def run(x):
        key = jax.random.key(0)
        rngs = {"params": key, "dropout": key}
        (result, stages), variables = model.init_with_output(rngs, x, train=train, stages=True)
        stages = {name: a.aval for name, a in stages.items()}  # in their order
        shapes.update(result=result.aval, stages=stages)
        shapes["variables"] = jax.tree.map(lambda a: a.aval, variables)
        return result

    shapes = {}
    jaxpr = jax.make_jaxpr(run)(images(pixels))
    return shapes, multiply_adds(jaxpr)


def label(value):
    is_model = isinstance(value, nn.Module)
    return type(value).__name__ + getattr(value, "version", "") if is_model else None


over = functools.partial(pytest.mark.parametrize, ids=label)


def size(tree):
    return sum(math.prod(a.shape) for a in jax.tree.leaves(tree))


@over("model, pixels, parameters, macs", TABLE)
def test_counts_are_the_published(model, pixels, parameters, macs):
    shapes, count = traced(model, pixels)
    assert size(shapes["variables"]["params"]) == parameters
    assert shapes["result"].shape == (1, model.num_classes)
    if macs is not None:
        assert count == pytest.approx(macs, rel=0 if isinstance(macs, int) else 1e-3)


@pytest.mark.parametrize("depth", [11, 13])
def test_shallow_vgg(depth):
    """Against the paper's table 2: 133 million for A and B; and convolutions counted by hand."""
    shapes, _ = traced(VGG(depth, 1000), 224)
    maps = [3, 64, 128, 256, 256, 512, 512, 512, 512]
    if depth == 13:
        maps = [3, 64, 64, 128, 128, 256, 256, 512, 512, 512, 512]
    by_hand = sum(9 * a * b + b for a, b in zip(maps, maps[1:], strict=False))
    by_hand += 25088 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 1000 + 1000
    assert size(shapes["variables"]["params"]) == by_hand
    assert round(by_hand / 1e6) == 133


# What the papers' tables and figures print, [side, side, channels].
STAGES = [
    (
        AlexNetOriginal(1000),
        227,
        {"conv1": (55, 96), "pool1": (27, 96), "conv2": (27, 256), "pool2": (13, 256)}
        | {"conv3": (13, 384), "conv4": (13, 384), "conv5": (13, 256), "pool5": (6, 256)}
        | {"fc6": 4096, "fc7": 4096},
    ),
    (
        AlexNetOriginal(1000, simplified=True),
        227,
        {"conv1": (55, 96), "pool1": (27, 96), "norm1": (27, 96), "conv2": (27, 256)}
        | {"pool2": (13, 256), "norm2": (13, 256), "conv3": (13, 384), "conv4": (13, 384)}
        | {"conv5": (13, 256), "pool5": (6, 256), "fc6": 4096, "fc7": 4096},
    ),
    (
        AlexNet(1000),
        224,
        {"conv1": (55, 64), "pool1": (27, 64), "conv2": (27, 192), "pool2": (13, 192)}
        | {"conv3": (13, 384), "conv4": (13, 256), "conv5": (13, 256), "pool5": (6, 256)}
        | {"fc6": 4096, "fc7": 4096},
    ),
    (
        ZFNet(1000),
        224,
        {"conv1": (110, 96), "pool1": (55, 96), "conv2": (26, 256), "pool2": (13, 256)}
        | {"conv3": (13, 384), "conv4": (13, 384), "conv5": (13, 256), "pool5": (6, 256)}
        | {"fc6": 4096, "fc7": 4096},
    ),
    (
        NiN(10),
        32,
        {"conv1": (32, 192), "cccp1": (32, 160), "cccp2": (32, 96), "pool1": (16, 96)}
        | {"conv2": (16, 192), "cccp3": (16, 192), "cccp4": (16, 192), "pool2": (8, 192)}
        | {"conv3": (8, 192), "cccp5": (8, 192), "cccp6": (8, 10)},
    ),
    (
        VGG(16, 1000),
        224,
        {"conv1_1": (224, 64), "conv1_2": (224, 64), "pool1": (112, 64)}
        | {"conv2_1": (112, 128), "conv2_2": (112, 128), "pool2": (56, 128)}
        | {f"conv3_{i}": (56, 256) for i in (1, 2, 3)}
        | {"pool3": (28, 256)}
        | {f"conv4_{i}": (28, 512) for i in (1, 2, 3)}
        | {"pool4": (14, 512)}
        | {f"conv5_{i}": (14, 512) for i in (1, 2, 3)}
        | {"pool5": (7, 512), "fc6": 4096, "fc7": 4096},
    ),
    (
        GoogLeNet2014(1000),
        224,
        {"conv1": (112, 64), "pool1": (56, 64), "conv2": (56, 64), "conv3": (56, 192)}
        | {"pool2": (28, 192), "inception3a": (28, 256), "inception3b": (28, 480)}
        | {"pool3": (14, 480)}
        | {f"inception4{letter}": (14, 512) for letter in "abc"}
        | {"inception4d": (14, 528), "inception4e": (14, 832), "pool4": (7, 832)}
        | {"inception5a": (7, 832), "inception5b": (7, 1024)},
    ),
    (
        InceptionV3(1000),
        299,
        {"Conv2d_1a_3x3": (149, 32), "Conv2d_2a_3x3": (147, 32), "Conv2d_2b_3x3": (147, 64)}
        | {"maxpool1": (73, 64), "Conv2d_3b_1x1": (73, 80), "Conv2d_4a_3x3": (71, 192)}
        | {"maxpool2": (35, 192), "Mixed_5b": (35, 256)}
        | {f"Mixed_5{letter}": (35, 288) for letter in "cd"}
        | {f"Mixed_6{letter}": (17, 768) for letter in "abcde"}
        | {"Mixed_7a": (8, 1280), "Mixed_7b": (8, 2048), "Mixed_7c": (8, 2048)},
    ),
]


@over("model, pixels, expected", STAGES)
def test_stages_are_the_papers(model, pixels, expected):
    stages = traced(model, pixels)[0]["stages"]
    shapes = {
        name: (1, shape) if isinstance(shape, int) else (1, shape[0], *shape)
        for name, shape in expected.items()
    }
    assert {name: a.shape for name, a in stages.items()} == shapes
    assert list(stages) == list(shapes)  # in their order


def test_torchvisions_googlenet_has_the_same_stages():
    paper, theirs = (traced(model(1000), 224)[0]["stages"] for model in (GoogLeNet2014, GoogLeNet))
    assert theirs == paper


# model, least pixels, size of what the head sees, parameters of the head with 7 classes
