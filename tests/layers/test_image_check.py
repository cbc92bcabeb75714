"""What every classifier of images refuses of its head and of what it drops."""

import functools

import jax
import jax.numpy as jnp
import pytest

from nets.alexnet import AlexNet, AlexNetOriginal
from nets.connectivity import Connected
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
from nets.resnet_cifar import CifarResNet, WideResNet
from nets.vgg import VGG
from nets.zfnet import ZFNet

DROPPING = (
    AlexNet, AlexNetOriginal, ConvNet, DenseNetBC100, GoogLeNet, InceptionV3, LeNet5, MLP,
    MobileNetV1, MobileNetV2, MobileNetV3, NASNetMobile, NiN, VGG, WideResNet, ZFNet,
)  # fmt: skip


def refused(model, side, message):
    x = jax.ShapeDtypeStruct((1, side, side, 1), jnp.float32)
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(functools.partial(model.init, train=False), jax.random.key(0), x)


@pytest.mark.parametrize("dropout", [-0.1, 1.0, float("nan")])
@pytest.mark.parametrize("net", DROPPING)
def test_what_is_no_probability_of_dropping(net, dropout):
    model, side = net(num_classes=2, dropout=dropout), 32 if net is LeNet5 else 299
    refused(model, side, rf"^{type(model).__name__}.dropout={dropout}: valid are probabilities")


def test_each_of_several_probabilities_and_those_of_auxiliary_heads():
    blocks = FractalNet(num_classes=2, dropout=(0.0, 0.1, 0.2, 0.3, 1.4))
    refused(blocks, 32, "^FractalNet.dropout=1.4: valid are probabilities")
    heads = GoogLeNet(num_classes=2, auxiliary_dropout=1.0)
    refused(heads, 299, "^GoogLeNet.auxiliary_dropout=1.0: valid are probabilities")


@pytest.mark.parametrize("classes", [None, -1])
@pytest.mark.parametrize(
    ("net", "side"),
    [(LeNet5, 28), (ZipNet, 16), (MLP, 8), (functools.partial(Connected, "full"), 8)],
)
def test_what_is_no_number_of_classes(net, side, classes):
    refused(net(num_classes=classes), side, f"num_classes is {classes}: valid are")


@pytest.mark.parametrize(
    ("model", "side", "last", "head"),
    [
        (LeNet5(0), 28, "F6", "output"),
        (ZipNet(0), 16, "H3", "output"),
        (MLP(num_classes=0), 8, "hidden_0", "output"),
        (Connected("local", num_classes=0), 8, "greatest", "output"),
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
    refused(model.clone(num_classes=2), 32, r"^features=0, window=\(\d, \d\): valid are")
