"""Options of the early classifiers: refusals, types, dropout, initial weights, heads."""

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
from nets.nasnet import NASNet
from nets.nin import NiN
from nets.vgg import VGG
from nets.zfnet import ZFNet
from tests.test_zoo_early import images, over, size, traced

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
    "model, pixels, least",
    [
        (GoogLeNet2014(7, auxiliary=True), 79, 31),
        (InceptionV3(7, auxiliary=True), 299, 75),
        (NASNet(cells=1, features=96, stem=4, num_classes=7, auxiliary=True), 67, 19),
    ],
)
def test_auxiliary_heads_need_a_size_only_where_they_run(model, pixels, least):
    """Below it, everything else is computed as by the same network without them."""
    start = functools.partial(model.init, train=False)
    variables = jax.eval_shape(start, jax.random.key(0), images(pixels))
    small, rngs = images(least, least), {"dropout": jax.random.key(1)}

    def program(model, **options):
        call = functools.partial(model.apply, rngs=rngs, mutable=["batch_stats"], **options)
        return str(jax.make_jaxpr(call)(variables, small))

    plain = model.clone(auxiliary=False)
    for options in ({"train": False}, {"train": False, "stages": True}, {"train": True}):
        assert program(model, **options) == program(plain, **options)
    with pytest.raises(ValueError, match=f"of at least {pixels} x {pixels} pixels"):
        program(model, train=True, stages=True)
    with pytest.raises(ValueError, match=f"of at least {pixels} x {pixels} pixels"):
        jax.eval_shape(start, jax.random.key(0), small)


@over(
    "model, shape, message",
    [
        (VGG(15, 7), (1, 32, 32, 3), "VGG.depth must be one of 11, 13, 16, 19, got 15"),
        (
            GoogLeNet(7, version="2015"),
            (1, 32, 32, 3),
            "GoogLeNet.version must be one of torchvision, 2014, got '2015'",
        ),
        (NiN(), (1, 32, 32, 3), r"NiN\.num_classes must be at least 0 .*, got None"),
        (NiN(-1), (1, 32, 32, 3), r"NiN\.num_classes must be at least 0 .*, got -1"),
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
        if {"kernel_init", "features"} <= context.module.__dataclass_fields__.keys():
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
