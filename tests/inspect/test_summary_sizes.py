"""How the summary says that each size comes about."""

import json
import math

import flax.linen as nn
import optax

from nets.inspect.summary import describe, render
from nets.layers import pooling
from nets.layers.conv import Conv
from nets.layers.conv_local import LocallyConnected
from nets.lenet import LeNet5
from nets.resnet import ResNet
from tests.inspect.test_summary import Images, column, images, lenet


def sizes(model, batch=2, side=28, channels=1):
    description = describe(model, Images(), optax.sgd(1e-3), images(batch, side, channels), {})
    return description, [(row["path"], row["formula"]) for row in description["sizes"]]


def test_how_each_size_comes_about_for_convolution_and_pooling():
    found, formulae = sizes(LeNet5())
    assert formulae == [
        ("C1", "(28 - 5 + 2*2)/1 + 1 = 28"),
        ("model", "(28 - 2 + 2*0)/2 + 1 = 14"),
        ("C3", "(14 - 5 + 2*0)/1 + 1 = 10"),
        ("model", "(10 - 2 + 2*0)/2 + 1 = 5"),
    ]
    lines = render(found).splitlines()
    assert "size of  window             (W - F + 2P)/S + 1" in lines
    assert "C1       convolution 5 x 5  (28 - 5 + 2*2)/1 + 1 = 28" in lines
    assert "size of" not in render(lenet())  # of flax's own layers


def test_sizes_are_those_of_the_layers_and_of_the_formula():
    found, formulae = sizes(ResNet((1, 1), width=8, num_classes=3), side=45, channels=3)
    outputs = column(found, "output")
    convolved = [row for row in found["sizes"] if row["kind"] == "convolution"]
    assert [row["path"] for row in convolved] == [
        row["path"] for row in found["layers"] if row["type"] == "Conv"
    ]
    for row in convolved:
        assert outputs[row["path"]] == [[2, *row["positions"], outputs[row["path"]][0][-1]]]
    for _, formula in formulae:
        computed, _, printed = formula.partition(", ")[0].partition(" = ")
        assert math.floor(eval(computed)) == int(printed)
    assert ("model", "(23 - 3 + 2*1)/2 + 1 = 12") in formulae
    assert ("conv1", "(45 - 7 + 2*3)/2 + 1 = 23") in formulae


def test_sizes_of_unlike_axes_uneven_padding_dilation_and_both_ways_of_rounding():
    class Windows(nn.Module):
        @nn.compact
        def __call__(self, x, *, train):
            x = LocallyConnected(2, (2, 3), strides=(1, 2), name="local")(x)
            x = Conv(2, (3, 3), dilation=2, padding="CIRCULAR", name="dilated")(x)
            x = pooling.max_pool(pooling.average_pool(x, 2, ceil=True), 2, padding=1)
            return nn.Dense(10)(pooling.sum_pool(x, (3, 2)).reshape(len(x), -1))

    found, formulae = sizes(Windows(), side=11)
    assert formulae == [
        ("local", "(11 - 2 + 0 + 1)/1 + 1 = 11; (11 - 3 + 2*1)/2 + 1 = 6"),
        ("dilated", "(11 - 5 + 2*2)/1 + 1 = 11; (6 - 5 + 2*2)/1 + 1 = 6"),
        ("model", "(11 - 2 + 2*0)/2 + 1 = 6, rounded up; (6 - 2 + 2*0)/2 + 1 = 3"),
        ("model", "(6 - 2 + 2*1)/2 + 1 = 4; (3 - 2 + 2*1)/2 + 1 = 2, rounded down"),
        ("model", "(4 - 3 + 2*0)/3 + 1 = 1, rounded down; (2 - 2 + 2*0)/2 + 1 = 1"),
    ]
    assert json.loads(json.dumps(found)) == found
