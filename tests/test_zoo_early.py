"""AlexNet, ZFNet, Network in Network, VGG, GoogLeNet and Inception-v3: counts, shapes, refusals."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from nets.alexnet import AlexNet, AlexNetOriginal
from nets.googlenet import GoogLeNet, GoogLeNet2014
from nets.inception import InceptionV3
from nets.nin import NiN
from nets.train.count import multiply_adds
from nets.vgg import VGG
from nets.zfnet import ZFNet

# model, pixels, parameters, multiply-adds
TABLE = [
    (AlexNet(1000), 224, 61_100_840, 0.714e9),
    (AlexNetOriginal(1000), 227, 60_965_224, 724_406_816),
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
LEAST = [
    (AlexNet(7), 63, 9216, 9216 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 7 + 7),
    (AlexNetOriginal(7), 67, 256, 256 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 7 + 7),
    (ZFNet(7), 47, 256, 256 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 7 + 7),
    (NiN(7), 4, 192, 192 * 7 + 7),
    (VGG(11, 7), 32, 25088, 25088 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 7 + 7),
    (GoogLeNet(7), 15, 1024, 1024 * 7 + 7),
    (GoogLeNet2014(7), 31, 1024, 1024 * 7 + 7),
    (InceptionV3(7), 75, 2048, 2048 * 7 + 7),
]


@over("model, least, features, head", LEAST)
def test_no_classes_no_head(model, least, features, head):
    shapes, _ = traced(model.clone(num_classes=0, dtype=jnp.bfloat16), least)
    whole, _ = traced(model, least)
    assert shapes["result"].shape == (1, features)
    assert shapes["result"].dtype == jnp.bfloat16
    params = shapes["variables"]["params"]
    assert size(whole["variables"]["params"]) - size(params) == head
    assert params.items() <= whole["variables"]["params"].items()


@over(
    "model, least", [(GoogLeNet2014(0, auxiliary=True), 31), (InceptionV3(0, auxiliary=True), 75)]
)
def test_no_classes_no_auxiliary_heads(model, least):
    shapes, _ = traced(model, least, train=True)
    without, _ = traced(model.clone(auxiliary=False), least, train=True)
    assert shapes == without


@over(
    "model, least",
    [(model, least) for model, least, *_ in LEAST]
    + [(GoogLeNet2014(7, auxiliary=True), 79), (InceptionV3(7, auxiliary=True), 299)],
)
def test_the_least_size_and_what_is_below(model, least):
    assert traced(model, least)[0]["result"].shape == (1, 7)
    name = type(model).__name__
    for x in (images(least - 1, least + 9), images(least + 9, least - 1)):
        shape = ", ".join(map(str, x.shape))
        message = rf"{name} takes images .* {least} x {least} pixels, not \[{shape}\]"
        with pytest.raises(ValueError, match=message):
            jax.eval_shape(functools.partial(model.init, train=False), jax.random.key(0), x)


@over(
    "model, shape, message",
    [
        (VGG(15, 7), (1, 32, 32, 3), r"VGG.depth is one of \[11, 13, 16, 19\], not 15"),
        (GoogLeNet(7, version="2015"), (1, 32, 32, 3), "torchvision or 2014, not 2015"),
        (NiN(), (1, 32, 32, 3), r"NiN\.num_classes is None: valid are a number"),
        (NiN(-1), (1, 32, 32, 3), r"NiN\.num_classes is -1"),
        (NiN(7), (32, 32, 3), r"NiN takes images \[B, H, W, C\] .* not \[32, 32, 3\]"),
    ],
)
def test_refusals(model, shape, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(
            functools.partial(model.init, train=False), jax.random.key(0), jnp.zeros(shape)
        )


@over(
    "model, least",
    [(model, least) for model, least, *_ in LEAST] + [(GoogLeNet2014(7, auxiliary=True), 79)],
)
def test_what_it_computes_in_and_what_it_stores(model, least):
    shapes, _ = traced(model.clone(dtype=jnp.bfloat16, param_dtype=jnp.float16), least)
    stored = {a.dtype for a in jax.tree.leaves(shapes["variables"]["params"])}
    assert stored == {jnp.dtype("float16")}
    assert shapes["result"].dtype == jnp.float32
    heads = {"cccp6", "aux1", "aux2"}
    dtypes = {name: a.dtype for name, a in shapes["stages"].items()}
    assert {d for name, d in dtypes.items() if name not in heads} == {jnp.dtype("bfloat16")}
    assert {d for name, d in dtypes.items() if name in heads} <= {jnp.dtype("float32")}


@over(
    "model, pixels, heads",
    [
        (GoogLeNet2014(7, auxiliary=True), 79, {"aux1", "aux2"}),
        (InceptionV3(7, auxiliary=True), 299, {"aux1"}),
    ],
)
def test_auxiliary_heads_speak_only_while_training(model, pixels, heads):
    shapes, _ = traced(model, pixels)
    training, _ = traced(model, pixels, train=True)
    assert shapes["variables"] == training["variables"]

    def outcome(**options):
        def run(variables, x):
            mutable = ["batch_stats"] if options["train"] else []
            rngs = {"dropout": jax.random.key(0)}
            return model.apply(variables, x, rngs=rngs, mutable=mutable, **options)[0]

        return jax.eval_shape(run, shapes["variables"], images(pixels, rows=2))

    read, written = {}, {}

    def watch(call, args, kwargs, context):
        y = call(*args, **kwargs)
        if len(context.module.path) == 1:
            read[context.module.name], written[context.module.name] = args[0], y
        return y

    with nn.intercept_methods(watch):
        logits, stages = outcome(train=True, stages=True)
    if "AuxLogits" in read:
        assert read["AuxLogits"] is read["Mixed_7a"] is written["Mixed_6e"]
    assert {name: stages[name].shape for name in heads} == dict.fromkeys(heads, (2, 7))
    assert logits.shape == (2, 7)
    assert outcome(train=True).shape == (2, 7)
    assert not heads & set(outcome(train=False, stages=True)[1])


def test_inner_widths_of_inception():
    params = traced(InceptionV3(1000), 299)[0]["variables"]["params"]
    for name, width in {"6b": 128, "6c": 160, "6d": 160, "6e": 192}.items():
        for branch in ("branch7x7_1", "branch7x7dbl_1"):
            assert params[f"Mixed_{name}"][branch]["conv"]["kernel"].shape == (1, 1, 768, width)


@over(
    "model, pixels, dropped",
    [
        (AlexNet(7, dropout=0.3), 63, [(9216, 0.3), (4096, 0.3)]),
        (AlexNetOriginal(7, dropout=0.3), 67, [(4096, 0.3)] * 2),
        (ZFNet(7, dropout=0.3), 47, [(4096, 0.3)] * 2),
        (NiN(7, dropout=0.3), 32, [(16 * 16 * 96, 0.3), (8 * 8 * 192, 0.3)]),
        (VGG(11, 7, dropout=0.3), 32, [(4096, 0.3)] * 2),
        (GoogLeNet(7, auxiliary=True), 32, [(1024, 0.7)] * 2 + [(1024, 0.2)]),
        (GoogLeNet2014(7, auxiliary=True), 79, [(1024, 0.7)] * 2 + [(1024, 0.4)]),
        (InceptionV3(7), 75, [(2048, 0.5)]),
    ],
)
def test_dropout(model, pixels, dropped):
    found = []

    def watch(call, args, kwargs, context):
        if isinstance(context.module, nn.Dropout) and context.method_name == "__call__":
            assert context.module.deterministic == (not train)
            found.append((args[0].size, context.module.rate))
        return call(*args, **kwargs)

    for train in (True, False):
        with nn.intercept_methods(watch):
            traced.__wrapped__(model, pixels, train=train)
        assert found == dropped
        found.clear()


def initialisers(model, pixels):
    """Of every layer with a kernel the deviation of a kernel [3, 3, 16, 64], and the bias."""
    found = {}

    def watch(call, args, kwargs, context):
        if hasattr(context.module, "kernel_init"):
            found["/".join(context.module.path)] = context.module
        return call(*args, **kwargs)

    with nn.intercept_methods(watch):
        traced.__wrapped__(model, pixels)
    key, biases = jax.random.key(0), {}
    for name, layer in found.items():
        bias_init = getattr(layer, "bias_init", nn.initializers.zeros)  # our Conv's are zeros
        biases[name] = float(bias_init(key, (), jnp.float32))
    kernels = {
        name: float(np.std(layer.kernel_init(key, (3, 3, 16, 64), jnp.float32)))
        for name, layer in found.items()
    }
    return kernels, biases


def test_alexnet_of_2012_starts_as_the_paper_says():
    kernels, biases = initialisers(AlexNetOriginal(5), 67)
    assert kernels == pytest.approx(dict.fromkeys(kernels, 0.01), rel=0.05)
    layers = "conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"
    assert biases == dict(zip(layers, (0, 1, 0, 1, 1, 1, 1, 0), strict=True))


def test_zfnet_starts_as_the_paper_says():
    kernels, biases = initialisers(ZFNet(5), 47)
    assert len(kernels) == 8
    assert kernels == pytest.approx(dict.fromkeys(kernels, 0.01), rel=0.05)
    assert set(biases.values()) == {0}


@over(
    "model, pixels, dense",
    [
        (AlexNet(5), 63, 0.01),
        (VGG(11, 5), 32, 0.01),
        (NiN(5), 8, None),
        (GoogLeNet2014(5, auxiliary=True), 79, 1 / math.sqrt(9 * 16)),
        (InceptionV3(5), 75, 1 / math.sqrt(9 * 16)),
    ],
)
def test_convolutions_start_as_he(model, pixels, dense):
    kernels, biases = initialisers(model, pixels)
    he = math.sqrt(2 / (9 * 64))
    ends = "classifier_1", "classifier_0", "classifier_3", "classifier_4", "classifier_6"
    ends += "fc", "fc1", "fc2"
    expected = {name: dense if name.split("/")[-1] in ends else he for name in kernels}
    assert (dense in expected.values()) == (dense is not None)
    assert kernels == pytest.approx(expected, rel=0.05)
    assert set(biases.values()) == {0}
