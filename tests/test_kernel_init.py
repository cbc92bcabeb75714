"""The field `kernel_init` of every convolutional and dense family."""

import functools
import importlib
import inspect
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax.traverse_util import flatten_dict

from nets.alexnet import AlexNet, AlexNetOriginal
from nets.connectivity import EachConnected
from nets.conv_scheme import ConvScheme
from nets.convnet import ConvNet
from nets.densenet import DenseNet
from nets.fractalnet import FractalNet
from nets.googlenet import GoogLeNet
from nets.inception import InceptionV3
from nets.lenet import LeNet5, LeNet5Original, ZipNet
from nets.mlp import MLP
from nets.mobilenet import MobileNetV1, MobileNetV2
from nets.mobilenet_v3 import MobileNetV3
from nets.nasnet import NASNet
from nets.nin import NiN
from nets.resnet import ResNet
from nets.resnet_cifar import CifarResNet, QuickResNet, WideResNet
from nets.vgg import VGG
from nets.zfnet import ZFNet

CASES = {
    MLP: ({"widths": (32, 16)}, (8, 8, 1), 322.67279),
    ConvScheme: ({"widths": (4, 8), "hidden": (16,)}, (8, 8, 1), 209.50360),
    ConvNet: ({"widths": (8, 16), "windows": (5, 3)}, (16, 16, 1), 278.19834),
    LeNet5: ({}, (28, 28, 1), 2981.8870),
    LeNet5Original: ({}, (28, 28, 1), 284.05377),
    ZipNet: ({}, (16, 16, 1), 115.56716),
    AlexNet: ({"hidden": 16}, (63, 63, 1), 55225.086),
    AlexNetOriginal: ({"hidden": 16}, (67, 67, 1), 19379.719),
    VGG: ({"depth": 11, "hidden": 16}, (32, 32, 1), 168486.30),
    ZFNet: ({"hidden": 16}, (47, 47, 1), 29668.361),
    NiN: ({}, (8, 8, 1), 31700.314),
    ResNet: ({"layers": (1, 1), "width": 16, "squeeze_excite": 4}, (16, 16, 1), 5229.3613),
    CifarResNet: ({"depth": 8, "shortcut": "B"}, (8, 8, 1), 4876.6563),
    WideResNet: ({"depth": 10, "width": 1}, (8, 8, 1), 4780.6563),
    QuickResNet: ({"widths": (8, 16, 16)}, (16, 16, 3), 1759.0778),
    DenseNet: ({"layers": (2, 2), "growth": 8, "width": 16}, (16, 16, 1), 2287.2219),
    FractalNet: (
        {"features": (8, 16), "columns": 2, "dropout": (0.0, 0.0)},
        (8, 8, 1),
        612.63177,
    ),
    GoogLeNet: ({"auxiliary": True}, (32, 32, 1), 402733.13),
    InceptionV3: ({"auxiliary": True}, (299, 299, 1), 1001338.4),
    MobileNetV1: ({"width": 0.25}, (32, 32, 1), 20911.688),
    MobileNetV2: ({"width": 0.25}, (32, 32, 1), 25486.262),
    MobileNetV3: ({"width": 0.25, "variant": "small"}, (32, 32, 1), 15125.987),
    NASNet: (
        {"cells": 1, "features": 96, "stem": 8, "auxiliary": True},
        (67, 67, 1),
        11129.217,
    ),
    EachConnected: ({}, (8, 8, 1), 9920.8077),
}
"""Fields of a small model, its images, and the sum of the absolute values of its parameters for key
0, recorded before there was the field."""
LONG = {GoogLeNet, InceptionV3, MobileNetV1, MobileNetV2, MobileNetV3, NASNet, ResNet}
LONG |= {AlexNetOriginal, VGG}
RECURRENT = {  # by cell, not by kernel
    "Bahdanau", "Luong", "ManyToMany", "ManyToOne", "ProductVQA", "QuestionOnly",
    "RecurrentAttention", "SentenceClassifier", "Seq2Seq", "StackedAttention", "Tagger",
}  # fmt: skip
OTHER_INPUTS = {"CLDNN", "TextCNN", "Transcriber", "Transformer"}  # sounds and words
DETECTORS = {"FasterRCNN", "SlidingWindow", "YOLO"}  # whose heads are initialised as published
SEGMENTERS = {"DilatedFCN", "FCN", "SceneLabelling", "UNet"}  # the same
STEM = ("stem_conv", "kernel")  # of QuickResNet: cosines


def init(model, shape):
    """The parameters for key 0, by path."""
    images = jnp.zeros((1, *shape))
    variables = jax.jit(functools.partial(model.init, train=False))(jax.random.key(0), images)
    return flatten_dict(variables["params"])


def kernels(params):
    return {k: np.asarray(v) for k, v in params.items() if k[-1] == "kernel" and k != STEM}


def test_every_family_of_images_has_the_field():
    names, without = set(), set()
    for path in (Path(__file__).parent.parent / "nets").glob("*.py"):
        module = importlib.import_module(f"nets.{path.stem}")
        for cls in filter(inspect.isclass, vars(module).values()):
            if not issubclass(cls, nn.Module) or cls.__module__ != module.__name__:
                continue
            if "num_classes" in cls.__dataclass_fields__:
                (names if "kernel_init" in cls.__dataclass_fields__ else without).add(cls.__name__)
    inner = {"Connected", "AuxiliaryHead"}  # of a family above
    assert names - inner == {cls.__name__ for cls in CASES}
    assert without == RECURRENT | OTHER_INPUTS | DETECTORS | SEGMENTERS


@pytest.mark.parametrize("cls", CASES, ids=lambda cls: cls.__name__)
def test_a_name_sets_every_kernel(cls):
    fields, shape, _ = CASES[cls]
    found = kernels(init(cls(num_classes=10, kernel_init="zeros", **fields), shape))
    assert len(found) > 2
    assert [path for path, kernel in found.items() if kernel.any()] == []


@pytest.mark.parametrize(
    "cls",
    [pytest.param(c, marks=[pytest.mark.slow] if c in LONG else [], id=c.__name__) for c in CASES],
)
def test_none_leaves_the_parameters_as_they_were(cls):
    fields, shape, total = CASES[cls]
    params = init(cls(num_classes=10, **fields), shape)
    assert float(sum(jnp.abs(p).sum() for p in params.values())) == pytest.approx(total, rel=1e-6)


@pytest.mark.parametrize("cls", [MLP, ConvNet, CifarResNet, LeNet5])
def test_he_normal_has_the_variance_of_each_kernel(cls):
    fields, shape, _ = CASES[cls]
    for path, kernel in kernels(
        init(cls(num_classes=10, kernel_init="he_normal", **fields), shape)
    ).items():
        fan_in = math.prod(kernel.shape[:-1])
        spread = 5 / np.sqrt(kernel.size)  # of the ratio, five standard deviations
        assert kernel.var() * fan_in / 2 == pytest.approx(1, abs=spread), path
