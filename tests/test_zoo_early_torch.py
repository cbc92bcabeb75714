"""The early classifiers against twins in torch, with torchvision's names where it has them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from nets.alexnet import AlexNet, AlexNetOriginal  # noqa: E402
from nets.googlenet import GoogLeNet, GoogLeNet2014  # noqa: E402
from nets.nin import NiN  # noqa: E402
from nets.vgg import VGG  # noqa: E402
from nets.zfnet import ZFNet  # noqa: E402
from tests.support.torch_names import (  # noqa: E402
    BasicConv2d,
    answers,
    assert_close,
    assert_equal,
    drawn,
    images,
    nchw,
    to_torch,
)


def lrn():
    return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)


class Classifier(nn.Module):
    """features, averaged to `side` places a side, and classifier."""

    def __init__(self, side, features, classifier):
        super().__init__()
        self.features, self.classifier = nn.Sequential(*features), nn.Sequential(*classifier)
        self.side = side

    def forward(self, x):
        x = F.adaptive_avg_pool2d(self.features(x), self.side)
        return self.classifier(x.flatten(1))


def test_alexnet():
    features = [nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)]
    features += [nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)]
    for channels in ((192, 384), (384, 256), (256, 256)):
        features += [nn.Conv2d(*channels, 3, padding=1), nn.ReLU()]
    features += [nn.MaxPool2d(3, 2)]
    classifier = [nn.Dropout(), nn.Linear(9216, 24), nn.ReLU()]
    classifier += [nn.Dropout(), nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 5)]
    theirs = Classifier(6, features, classifier)
    x = images(2, 150, 100, 3)
    assert_equal(AlexNet(5, hidden=24), theirs, x, train=False)


def vgg(batch_norm, *widths, hidden=24, classes=5):
    """Convolutions of these widths, "M" a pooling."""
    features, channels = [], 3
    for width in widths:
        if width == "M":
            features += [nn.MaxPool2d(2)]
            continue
        norm = [nn.BatchNorm2d(width)] if batch_norm else []
        features += [nn.Conv2d(channels, width, 3, padding=1), *norm, nn.ReLU()]
        channels = width
    classifier = [nn.Linear(512 * 49, hidden), nn.ReLU(), nn.Dropout()]
    classifier += [nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout()]
    classifier += [nn.Linear(hidden, classes)]
    return Classifier(7, features, classifier)


A = (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M")
B = (64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M")
D = (64, 64, "M", 128, 128, "M", *(256,) * 3, "M", *(512,) * 3, "M", *(512,) * 3, "M")
E = (64, 64, "M", 128, 128, "M", *(256,) * 4, "M", *(512,) * 4, "M", *(512,) * 4, "M")


def test_vgg_with_batch_norm():
    model = VGG(11, 5, batch_norm=True, hidden=24)
    assert_equal(model, vgg(True, *A), images(2, 96, 64, 3), train=False)


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("depth, widths", [(11, A), (13, B), (16, D), (19, E)])
def test_names_and_shapes_of_every_vgg(depth, widths, batch_norm):
    model = VGG(depth, 5, batch_norm=batch_norm, hidden=24)
    shapes = jax.eval_shape(
        functools.partial(model.init, train=False),
        jax.random.key(0),
        jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32),
    )
    zeros = jax.tree.map(lambda a: np.broadcast_to(np.float32(0), a.shape), shapes)
    with torch.device("meta"):
        theirs = vgg(batch_norm, *widths)
    found = to_torch(zeros, theirs.state_dict())
    assert {name: a.shape for name, a in found.items()} == {
        name: a.shape for name, a in theirs.state_dict().items() if "num_batches" not in name
    }


def named(**layers):
    """Layers in a row under these names."""
    theirs = nn.Sequential()
    for name, layer in layers.items():
        theirs.add_module(name, layer)
    return theirs


@pytest.mark.parametrize("simplified", [False, True])
def test_alexnet_of_2012(simplified):
    relu, pool = nn.ReLU(), nn.MaxPool2d(3, 2)
    groups = 1 if simplified else 2
    first, second = (pool, lrn()) if simplified else (lrn(), pool)
    theirs = named(
        **{"conv1": nn.Conv2d(3, 96, 11, 4), "r1": relu, "n1": first, "p1": second},
        **{"conv2": nn.Conv2d(96, 256, 5, padding=2, groups=groups), "r2": relu, "n2": first},
        **{"p2": second, "conv3": nn.Conv2d(256, 384, 3, padding=1), "r3": relu},
        **{"conv4": nn.Conv2d(384, 384, 3, padding=1, groups=groups), "r4": relu},
        **{"conv5": nn.Conv2d(384, 256, 3, padding=1, groups=groups), "r5": relu, "p5": pool},
        **{"flat": nn.Flatten(), "fc6": nn.Linear(256 * 6, 24), "r6": relu},
        **{"fc7": nn.Linear(24, 24), "r7": relu, "fc8": nn.Linear(24, 5)},
    )
    x = 30 * images(2, 150, 115, 3)  # large enough for the normalisation to bite
    model = AlexNetOriginal(5, hidden=24, simplified=simplified)
    assert_equal(model, theirs, x, {"fc6": (3, 2)}, train=False)


def test_zfnet():
    relu, pool = nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True)
    theirs = named(
        **{"conv1": nn.Conv2d(3, 96, 7, 2, padding=1), "r1": relu, "p1": pool, "n1": lrn()},
        **{"conv2": nn.Conv2d(96, 256, 5, 2), "r2": relu, "p2": pool, "n2": lrn()},
        **{"conv3": nn.Conv2d(256, 384, 3, padding=1), "r3": relu},
        **{"conv4": nn.Conv2d(384, 384, 3, padding=1), "r4": relu},
        **{"conv5": nn.Conv2d(384, 256, 3, padding=1), "r5": relu, "p5": pool},
        **{"flat": nn.Flatten(), "fc6": nn.Linear(256 * 6, 24), "r6": relu},
        **{"fc7": nn.Linear(24, 24), "r7": relu, "fc8": nn.Linear(24, 5)},
    )
    x = 30 * images(2, 112, 80, 3)
    assert_equal(ZFNet(5, hidden=24), theirs, x, {"fc6": (3, 2)}, train=False)


def test_network_in_network():
    relu = nn.ReLU()
    pools = nn.MaxPool2d(3, 2, ceil_mode=True), nn.AvgPool2d(3, 2, ceil_mode=True)
    theirs = named(
        **{"conv1": nn.Conv2d(3, 192, 5, padding=2), "r1": relu},
        **{"cccp1": nn.Conv2d(192, 160, 1), "r2": relu, "cccp2": nn.Conv2d(160, 96, 1)},
        **{"r3": relu, "p1": pools[0], "conv2": nn.Conv2d(96, 192, 5, padding=2), "r4": relu},
        **{"cccp3": nn.Conv2d(192, 192, 1), "r5": relu, "cccp4": nn.Conv2d(192, 192, 1)},
        **{"r6": relu, "p2": pools[1], "conv3": nn.Conv2d(192, 192, 3, padding=1), "r7": relu},
        **{"cccp5": nn.Conv2d(192, 192, 1), "r8": relu, "cccp6": nn.Conv2d(192, 5, 1)},
        **{"r9": relu, "average": nn.AdaptiveAvgPool2d(1), "flat": nn.Flatten()},
    )
    assert_equal(NiN(5), theirs, images(2, 16, 11, 3), train=False)


class TorchInception(nn.Module):
    def __init__(self, channels, one, red3, three, red5, five, pool, unit, side):
        super().__init__()
        self.branch1 = unit(channels, one, 1)
        self.branch2 = nn.Sequential(unit(channels, red3, 1), unit(red3, three, 3, padding=1))
        self.branch3 = nn.Sequential(
            unit(channels, red5, 1), unit(red5, five, side, padding=side // 2)
        )
        pooling = nn.MaxPool2d(3, stride=1, padding=1, ceil_mode=True)
        self.branch4 = nn.Sequential(pooling, unit(channels, pool, 1))

    def forward(self, x):
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class TorchAux(nn.Module):
    def __init__(self, channels, unit, pool, places):
        super().__init__()
        self.pool, self.conv = pool, unit(channels, 128, 1)
        self.fc1, self.fc2 = nn.Linear(128 * places, 1024), nn.Linear(1024, 5)

    def forward(self, x):
        return self.fc2(F.relu(self.fc1(self.conv(self.pool(x)).flatten(1))))


class TorchGoogLeNet(nn.Module):
    """Without dropout. Table 1 of the paper, row by row."""

    def __init__(self, published, places):
        super().__init__()
        unit = functools.partial(BasicConv2d, norm=not published)
        block = functools.partial(TorchInception, unit=unit, side=5 if published else 3)
        self.published = published
        self.conv1 = unit(3, 64, 7, stride=2, padding=3)
        self.conv2 = unit(64, 64, 1)
        self.conv3 = unit(64, 192, 3, padding=1)
        self.inception3a = block(192, 64, 96, 128, 16, 32, 32)
        self.inception3b = block(256, 128, 128, 192, 32, 96, 64)
        self.inception4a = block(480, 192, 96, 208, 16, 48, 64)
        self.inception4b = block(512, 160, 112, 224, 24, 64, 64)
        self.inception4c = block(512, 128, 128, 256, 24, 64, 64)
        self.inception4d = block(512, 112, 144, 288, 32, 64, 64)
        self.inception4e = block(528, 256, 160, 320, 32, 128, 128)
        self.inception5a = block(832, 256, 160, 320, 32, 128, 128)
        self.inception5b = block(832, 384, 192, 384, 48, 128, 128)
        pool = nn.AvgPool2d(5, 3) if published else nn.AdaptiveAvgPool2d(4)
        self.aux1 = TorchAux(512, unit, pool, places)
        self.aux2 = TorchAux(528, unit, pool, places)
        self.fc = nn.Linear(1024, 5)

    def forward(self, x):
        pool = functools.partial(F.max_pool2d, stride=2, ceil_mode=True)
        norm = lrn() if self.published else nn.Identity()
        x = norm(pool(self.conv1(x), 3))
        x = pool(norm(self.conv3(self.conv2(x))), 3)
        x = pool(self.inception3b(self.inception3a(x)), 3)
        x = self.inception4a(x)
        aux1 = self.aux1(x)
        x = self.inception4d(self.inception4c(self.inception4b(x)))
        aux2 = self.aux2(x)
        x = pool(self.inception4e(x), 3 if self.published else 2)
        x = self.inception5b(self.inception5a(x))
        return self.fc(x.mean((2, 3))), aux1, aux2


@pytest.mark.parametrize(
    "model, shape, places",
    [(GoogLeNet, (3, 100, 150, 3), (4, 4)), (GoogLeNet2014, (2, 130, 79, 3), (2, 1))],
)
def test_googlenet_with_its_heads_while_training(model, shape, places):
    """Training, so that the heads speak; the statistics are the batch's."""
    model, x = model(5, auxiliary=True, dropout=0.0, auxiliary_dropout=0.0), images(*shape)
    published = model.version == "2014"
    x = 30 * x if published else x
    variables = drawn(model, x, train=False)
    theirs = TorchGoogLeNet(published, places[0] * places[1])
    maps = {"aux1/fc1": places, "aux2/fc1": places}
    theirs.load_state_dict(to_torch(variables, theirs.state_dict(), maps))
    (logits, stages), _ = answers(
        model, variables, x, train=True, stages=True, mutable=["batch_stats"]
    )
    with torch.no_grad():
        expected = theirs.train()(nchw(x))
    for ours, torchs in zip((logits, stages["aux1"], stages["aux2"]), expected, strict=True):
        assert_close(ours, torchs, 1e-3)
    if not published:
        theirs.load_state_dict(to_torch(variables, theirs.state_dict(), maps))
        with torch.no_grad():
            expected, *_ = theirs.eval()(nchw(x))
        assert_close(answers(model, variables, x, train=False), expected)
