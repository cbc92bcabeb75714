"""MobileNets v2 and v3 against twins in torch with torchvision's names."""

import functools
import math

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from nets.mobilenet import MobileNetV2  # noqa: E402
from nets.mobilenet_v3 import MobileNetV3  # noqa: E402
from tests.support.torch_names import assert_equal, images  # noqa: E402


def rounded(channels):
    """The multiple of 8 that is nearest, halves up; the one above if a tenth or more is lost."""
    nearest = max(8, math.floor(channels / 8 + 0.5) * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


def unit(c, f, k, stride, groups, act, eps):
    conv = nn.Conv2d(c, f, k, stride, (k - 1) // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(f, eps=eps), *([act()] if act else []))


class Residual(nn.Module):
    def __init__(self, name, layers, shortcut):
        super().__init__()
        setattr(self, name, nn.Sequential(*layers))
        self.chain, self.shortcut = name, shortcut

    def forward(self, x):
        y = getattr(self, self.chain)(x)
        return x + y if self.shortcut else y


class SE(nn.Module):
    def __init__(self, c):
        super().__init__()
        hidden = rounded(c // 4)
        self.fc1, self.fc2 = nn.Conv2d(c, hidden, 1), nn.Conv2d(hidden, c, 1)

    def forward(self, x):
        scale = self.fc2(torch.relu(self.fc1(x.mean((2, 3), keepdim=True))))
        return x * nn.functional.hardsigmoid(scale)


class Net(nn.Module):
    def __init__(self, features, classifier):
        super().__init__()
        self.features, self.classifier = nn.Sequential(*features), nn.Sequential(*classifier)

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


def v2(width, classes=3):
    bn = functools.partial(unit, act=nn.ReLU6, eps=1e-5)
    c = rounded(32 * width)
    layers = [bn(3, c, 3, 2, 1)]
    for t, f, n, s in (
        *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
        *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
    ):
        f = rounded(f * width)
        for stride in [s] + [1] * (n - 1):
            h = c * t
            chain = [bn(c, h, 1, 1, 1)] if t > 1 else []
            chain += [bn(h, h, 3, stride, h), nn.Conv2d(h, f, 1, bias=False), nn.BatchNorm2d(f)]
            layers.append(Residual("conv", chain, stride == 1 and c == f))
            c = f
    last = rounded(1280 * max(width, 1))
    return Net([*layers, bn(c, last, 1, 1, 1)], [nn.Dropout(), nn.Linear(last, classes)])


R, H = nn.ReLU, nn.Hardswish
LARGE = """3 16 16 - R 1; 3 64 24 - R 2; 3 72 24 - R 1; 5 72 40 S R 2; 5 120 40 S R 1;
5 120 40 S R 1; 3 240 80 - H 2; 3 200 80 - H 1; 3 184 80 - H 1; 3 184 80 - H 1; 3 480 112 S H 1;
3 672 112 S H 1; 5 672 160 S H 2; 5 960 160 S H 1; 5 960 160 S H 1"""
SMALL = """3 16 16 S R 2; 3 72 24 - R 2; 3 88 24 - R 1; 5 96 40 S H 2; 5 240 40 S H 1;
5 240 40 S H 1; 5 120 48 S H 1; 5 144 48 S H 1; 5 288 96 S H 2; 5 576 96 S H 1; 5 576 96 S H 1"""


def v3(table, hidden, width):
    bn = functools.partial(unit, eps=1e-3)
    c = rounded(16 * width)
    layers = [bn(3, c, 3, 2, 1, H)]
    for row in table.split(";"):
        k, h, f, se, act, stride = row.split()
        k, h, f, stride = int(k), rounded(int(h) * width), rounded(int(f) * width), int(stride)
        act = {"R": R, "H": H}[act]
        chain = [bn(c, h, 1, 1, 1, act)] if h != c else []
        chain += [bn(h, h, k, stride, h, act)] + ([SE(h)] if se == "S" else [])
        chain += [bn(h, f, 1, 1, 1, None)]
        layers.append(Residual("block", chain, stride == 1 and c == f))
        c = f
    hidden = rounded(hidden * width)
    classifier = nn.Linear(6 * c, hidden), H(), nn.Dropout(), nn.Linear(hidden, 3)
    return Net([*layers, bn(c, 6 * c, 1, 1, 1, H)], classifier)


@pytest.mark.parametrize(
    "model, theirs",
    [
        (MobileNetV2(width=0.35), lambda: v2(0.35)),
        (MobileNetV3(), lambda: v3(LARGE, 1280, 1.0)),
        (MobileNetV3(variant="small", width=0.75), lambda: v3(SMALL, 1024, 0.75)),
    ],
)
def test_it_computes_what_torchvisions_does(model, theirs):
    assert_equal(model.clone(num_classes=3), theirs(), images(2, 45, 64, 3), train=False)
