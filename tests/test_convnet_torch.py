"""The plain convolutional net against the same in torch."""

import collections
import math

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from nets.convnet import ConvNet  # noqa: E402
from tests.support.torch_names import assert_equal, images  # noqa: E402


@pytest.mark.parametrize("padded, places", [(True, (3, 2)), (False, (2, 1))])
def test_it_equals_torch(padded, places):
    layers, channels = {}, 3
    for i, (width, window) in enumerate(((4, 5), (6, 3)), 1):
        pad = window // 2 if padded or i > 1 else 0
        layers[f"conv{i}"] = nn.Conv2d(channels, width, window, padding=pad, bias=False)
        layers |= {f"bn{i}": nn.BatchNorm2d(width), f"relu{i}": nn.ReLU()}
        layers[f"pool{i}"], channels = nn.MaxPool2d(2), width
    layers |= {"flat": nn.Flatten(), "fc": nn.Linear(6 * math.prod(places), 5)}
    theirs = nn.Sequential(collections.OrderedDict(layers))
    model = ConvNet(widths=(4, 6), windows=(5, 3), padded=padded, num_classes=5)
    assert_equal(model, theirs, images(2, 13, 11, 3), flattened={"fc": places}, train=False)
