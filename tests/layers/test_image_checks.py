"""Error messages of image classifiers for invalid images, classes and dropout probabilities."""

import functools

import jax
import jax.numpy as jnp
import pytest

from nets.alexnet import AlexNet, AlexNetOriginal
from nets.connectivity import Connected
from nets.conv_scheme import ConvScheme
from nets.convnet import ConvNet
from nets.densenet import DenseNetBC100
from nets.fractalnet import FractalNet
from nets.googlenet import GoogLeNet
from nets.inception import InceptionV3
from nets.lenet import LeNet5, ZipNet
from nets.mlp import MLP
from nets.mobilenet import MobileNetV1, MobileNetV2
from nets.mobilenet_v3 import MobileNetV3
from nets.nasnet import NASNetMobile
from nets.nin import NiN
from nets.resnet import ResNet
from nets.resnet_cifar import CifarResNet, QuickResNet, WideResNet
from nets.vgg import VGG
from nets.zfnet import ZFNet

DROPPING = (
    AlexNet, AlexNetOriginal, ConvNet, ConvScheme, DenseNetBC100, GoogLeNet, InceptionV3, LeNet5,
    MLP, MobileNetV1, MobileNetV2, MobileNetV3, NASNetMobile, NiN, VGG, WideResNet, ZFNet,
)  # fmt: skip


def refused(model, size, message):
    shape = (1, size, size, 1) if isinstance(size, int) else size
    x = jax.ShapeDtypeStruct(shape, jnp.float32)
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(functools.partial(model.init, train=False), jax.random.key(0), x)


LAST = r"\[{}\]: channels come last, and these look like channels first; x.transpose"
FAMILIES = {
    **{type(net()).__name__: net(num_classes=2) for net in DROPPING if net is not MLP},
    "ZipNet": ZipNet(2),
    "Connected": Connected("shared", num_classes=2),
    "FractalNet": FractalNet(num_classes=2),
    "GoogLeNet 2014": GoogLeNet(num_classes=2, version="2014"),
    "CifarResNet": CifarResNet(num_classes=2),
    "QuickResNet": QuickResNet(num_classes=2),
    "ResNet": ResNet((1, 1, 1, 1), num_classes=2),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_images_with_channels_first(name):
    for channels, side in ((3, 224), (1, 28), (3, 32), (1, 16)):
        shape = (2, channels, side, side)
        refused(FAMILIES[name], shape, LAST.format(", ".join(map(str, shape))))


def test_flat_images_of_many_channels():
    def accepted(shape):
        x = jax.ShapeDtypeStruct(shape, jnp.float32)
        jax.eval_shape(functools.partial(model.init, train=False), jax.random.key(0), x)

    model = FAMILIES["ResNet"]
    accepted((2, 3, 64, 200))  # three lines of a line scanner, 200 bands
    accepted((2, 1, 128, 9))  # a signal of 128 steps
    accepted((2, 3, 3, 512))
    accepted((2, 8, 8, 8))
    refused(FAMILIES["VGG"], (2, 3, 240, 320), LAST.format("2, 3, 240, 320"))  # too small as it is
    refused(FAMILIES["VGG"], (2, 16, 64, 64), r"(?m)not \[2, 16, 64, 64\]$")  # only too small
    refused(FAMILIES["VGG"], (2, 28, 28, 1), r"(?m)not \[2, 28, 28, 1\]$")


@pytest.mark.parametrize("dropout", [-0.1, 1.0, float("nan")])
@pytest.mark.parametrize("net", DROPPING)
def test_invalid_dropout(net, dropout):
    model, side = net(num_classes=2, dropout=dropout), 32 if net is LeNet5 else 299
    refused(model, side, rf"^{type(model).__name__}.dropout must be in \[0, 1\), got {dropout}")


def test_each_of_several_probabilities_and_those_of_auxiliary_heads():
    blocks = FractalNet(num_classes=2, dropout=(0.0, 0.1, 0.2, 0.3, 1.4))
    refused(blocks, 32, r"^FractalNet.dropout must be in \[0, 1\), got 1.4")
    heads = GoogLeNet(num_classes=2, auxiliary_dropout=1.0)
    refused(heads, 299, r"^GoogLeNet.auxiliary_dropout must be in \[0, 1\), got 1.0")


@pytest.mark.parametrize("classes", [None, -1])
@pytest.mark.parametrize(
    ("net", "side"),
    [(LeNet5, 28), (ZipNet, 16), (MLP, 8), (functools.partial(Connected, "full"), 8)],
)
def test_invalid_number_of_classes(net, side, classes):
    refused(net(num_classes=classes), side, f"num_classes must be at least 0 .*, got {classes}")


@pytest.mark.parametrize(
    ("model", "side", "last", "head"),
    [
        (LeNet5(0), 28, "F6", "output"),
        (ZipNet(0), 16, "H3", "output"),
        (MLP(num_classes=0), 8, "hidden_0", "output"),
        (Connected("local", num_classes=0), 8, "maximum", "output"),
    ],
)
def test_without_classes_the_result_is_the_last_stage(model, side, last, head):
    def init(key, x):
        (y, stages), variables = model.init_with_output(key, x, train=False, stages=True)
        assert y is stages[last] and head not in variables["params"]

    jax.eval_shape(init, jax.random.key(0), jax.ShapeDtypeStruct((2, side, side, 1), jnp.float32))


@pytest.mark.parametrize(
    "model", [DenseNetBC100(growth=0), CifarResNet(width=0), ConvNet(widths=(0, 16, 4))]
)
def test_a_net_of_no_width_is_refused(model):
    refused(model.clone(num_classes=2), 32, "^features must be at least 1, got 0")
