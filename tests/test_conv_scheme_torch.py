"""The configurable pattern of convolutional networks against the same in torch."""

import collections
import functools
import math

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from nets.conv_scheme import ConvScheme  # noqa: E402
from tests.support.torch_names import assert_equal, images  # noqa: E402


def twin(channels, stages, window, padding, strides, pool, units):
    """`stages` are (width, convolutions), `units` those of the fully connected layers."""
    conv = functools.partial(nn.Conv2d, kernel_size=window, padding=padding)
    layers = {}
    for i, ((width, times), stride) in enumerate(zip(stages, strides, strict=True), 1):
        block = {}
        for j in range(1, times + 1):
            block[f"{j}"] = conv(channels, width, stride=stride)
            block[f"relu{j}"], channels = nn.ReLU(), width
        layers |= {f"conv{i}": nn.Sequential(collections.OrderedDict(block)), f"pool{i}": pool()}
    layers["flat"] = nn.Flatten()
    for i, (inputs, outputs) in enumerate(zip(units[:-2], units[1:-1], strict=True), 1):
        layers |= {f"fc{i}": nn.Linear(inputs, outputs), f"relu{i}": nn.ReLU()}
    layers["output"] = nn.Linear(*units[-2:])
    return nn.Sequential(collections.OrderedDict(layers))


@pytest.mark.parametrize(
    ("fields", "padding", "pool", "places"),
    [
        ({}, 1, lambda: nn.MaxPool2d(2), (3, 2)),
        ({"pooling": "average", "convolutions": (2, 3)}, 1, lambda: nn.AvgPool2d(2), (3, 2)),
        ({"padded": False}, 0, lambda: nn.MaxPool2d(2), (2, 1)),
        ({"pool_window": 3, "pool_strides": 2}, 1, lambda: nn.MaxPool2d(3, 2), (2, 2)),
        ({"pooling": "none", "hidden": (8, 7)}, 1, nn.Identity, (14, 11)),
        ({"pooling": "none", "padded": False, "strides": (2, 1)}, 0, nn.Identity, (4, 3)),
        ({"hidden": ()}, 1, lambda: nn.MaxPool2d(2), (3, 2)),
    ],
)
def test_it_equals_torch(fields, padding, pool, places):
    model = ConvScheme(**{"widths": (4, 6), "hidden": (9,), "num_classes": 5} | fields)
    times = model.convolutions * 2 if len(model.convolutions) == 1 else model.convolutions
    units = (6 * math.prod(places), *model.hidden, 5)
    strides = model.strides * (2 // len(model.strides))
    stages = list(zip((4, 6), times, strict=True))
    theirs = twin(3, stages, 3, padding, strides, pool, units)
    first = "fc1" if model.hidden else "output"
    assert_equal(model, theirs, images(2, 14, 11, 3), flattened={first: places}, train=False)
