"""ResNets against the same in torch, written by hand with torchvision's names."""

import functools

import jax
import numpy as np
import pytest

from nets.interop.torch_vision import vision_to_torch
from nets.layers.scan_blocks import stack_blocks
from nets.resnet import ResNet
from nets.resnet_cifar import CifarResNet, WideResNet
from tests.test_resnet import batch, random_variables

torch = pytest.importorskip("torch")
from tests.support.torch_resnet import Basic, Bottleneck, Net, Preactivated  # noqa: E402


def load(theirs, variables):
    """Gives a torch module the variables; all of its names must be met."""
    state = {k: torch.tensor(a) for k, a in vision_to_torch(variables, ResNet()).items()}
    theirs.load_state_dict({k: v for k, v in theirs.state_dict().items() if "num" in k} | state)
    return theirs


def assert_equal(model, theirs, x, scanned=False):
    """Logits in evaluation, of random weights and statistics."""
    variables = random_variables(model, *x.shape)
    with torch.no_grad():
        expected = load(theirs, variables).eval()(torch.tensor(x.transpose(0, 3, 1, 2))).numpy()
    logits = jax.jit(functools.partial(model.apply, train=False))(variables, x)
    assert np.ptp(expected) > 0.01
    close = {"rtol": 1e-4, "atol": 1e-4 * np.abs(expected).max()}
    np.testing.assert_allclose(logits, expected, **close)
    if scanned:
        model = model.clone(scan_blocks=True)
        logits = jax.jit(functools.partial(model.apply, train=False))(stack_blocks(variables), x)
        np.testing.assert_allclose(logits, expected, **close)
    return variables


def basic(stem="imagenet"):
    stages = [Basic(8, 8), Basic(8, 8)], [Basic(8, 16, 2), Basic(16, 16)]
    return Net(stem, stages, 16)


def bottleneck(first=False, groups=1, inner=(8, 16), squeeze=None):
    def block(c, f, stride, inner):
        hidden = squeeze and 4 * f // squeeze
        return Bottleneck(c, f, stride, inner, groups, first, hidden)

    one = block(8, 8, 1, inner[0]), block(32, 8, 1, inner[0])
    return Net("imagenet", [one, [block(32, 16, 2, inner[1])]], 64)


def dilated():
    """The last two of three stages keep the size; their first blocks have the former dilation."""
    two = [Bottleneck(32, 16, 1, 16), Bottleneck(64, 16, 1, 16, dilation=2)]
    three = [
        Bottleneck(64, 32, 1, 32, dilation=2),
        *(Bottleneck(128, 32, 1, 32, dilation=4) for _ in range(2)),
    ]
    return Net("imagenet", [[Bottleneck(8, 8, 1, 8)], two, three], 128)


def dilated_basic():
    two = Basic(8, 16), Basic(16, 16, dilation=2)
    return Net("imagenet", [[Basic(8, 8)], two], 16)


def preactivated_basic():
    one = Preactivated((8, 8, 8), (3, 3), raw=False), Preactivated((8, 8, 8), (3, 3))
    return Net("imagenet", [one, [Preactivated((8, 16, 16), (3, 3), 2)]], 16, last=True)


def preactivated_bottleneck():
    kinds = (1, 3, 1)
    one = Preactivated((8, 8, 8, 32), kinds, raw=False), Preactivated((32, 8, 8, 32), kinds)
    two = [Preactivated((32, 16, 16, 64), kinds, 2)]
    return Net("imagenet", [one, two], 64, last=True)


@pytest.mark.parametrize(
    "fields, theirs",
    [
        ({"block": "basic", "layers": (2, 2)}, basic),
        (
            {"block": "basic", "layers": (2, 2), "stem_window": 3, "stem_strides": 1},
            functools.partial(basic, "small"),
        ),
        ({}, bottleneck),
        ({"version": "v1"}, functools.partial(bottleneck, first=True)),
        ({"squeeze_excite": 4}, functools.partial(bottleneck, squeeze=4)),
        (
            {"groups": 4, "width_per_group": 32},
            functools.partial(bottleneck, groups=4, inner=(16, 32)),
        ),
        ({"width_per_group": 128}, functools.partial(bottleneck, inner=(16, 32))),
        ({"layers": (1, 2, 3), "dilated_stages": 2}, dilated),
        ({"block": "basic", "layers": (1, 2), "dilated_stages": 1}, dilated_basic),
        ({"block": "basic", "version": "v2"}, preactivated_basic),
        ({"version": "v2"}, preactivated_bottleneck),
    ],
)
def test_resnet(fields, theirs):
    model = ResNet(**{"layers": (2, 1), "width": 8, "num_classes": 3} | fields)
    assert_equal(model, theirs(), batch(2, 31, 26, 3), scanned="dilated_stages" in fields)


@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_cifar_resnet(shortcut):
    def stage(c, f, stride):
        return Basic(c, f, stride, shortcut), Basic(f, f), Basic(f, f)

    model = CifarResNet(depth=20, width=4, shortcut=shortcut, num_classes=3)
    theirs = Net("cifar", [stage(4, 4, 1), stage(4, 8, 2), stage(8, 16, 2)], 16)
    assert_equal(model, theirs, batch(2, 13, 10, 3), scanned=shortcut == "A")


def test_wide_resnet():
    def stage(c, f, stride):
        return Preactivated((c, f, f), (3, 3), stride), Preactivated((f, f, f), (3, 3))

    theirs = Net("wide", [stage(16, 32, 1), stage(32, 64, 2), stage(64, 128, 2)], 128, last=True)
    model = WideResNet(depth=16, width=2, num_classes=3, dropout=0.5)
    assert_equal(model, theirs, batch(2, 10, 9, 3))


def test_training_mode():
    """Batch statistics: logits, and the running means that follow them."""
    model = ResNet(layers=(1, 1), block="basic", width=8, num_classes=3)
    theirs = Net("imagenet", ([Basic(8, 8)], [Basic(8, 16, 2)]), 16)
    x = batch(4, 21, 18, 3)
    variables = random_variables(model, *x.shape)
    expected = load(theirs, variables).train()(torch.tensor(x.transpose(0, 3, 1, 2)))
    forward = jax.jit(functools.partial(model.apply, train=True, mutable=["batch_stats"]))
    logits, updated = forward(variables, x)
    np.testing.assert_allclose(logits, expected.detach(), rtol=1e-4, atol=1e-4)
    for name in ("layer1", "layer2"):
        mean = getattr(theirs, name)[0].bn2.running_mean
        found = updated["batch_stats"][f"{name}_0"]["bn2"]["mean"]
        np.testing.assert_allclose(found, mean, rtol=1e-4, atol=1e-5)
