"""Receptive fields of published networks and of every pooling, against figures worked by hand."""

import functools

import jax
import pytest
from flax import linen as nn

from nets.alexnet import AlexNet, AlexNetOriginal
from nets.googlenet import GoogLeNet, GoogLeNet2014
from nets.inception import InceptionV3
from nets.inspect.receptive_field import receptive_field
from nets.layers import pooling
from nets.nin import NiN
from nets.resnet import ResNet50
from nets.resnet_cifar import QuickResNet
from nets.vgg import VGG
from tests.support.stacks import of_module, struct


@pytest.mark.parametrize(
    ("model", "side", "size", "stride"),
    [
        # Araujo et al. 2019: alexnet_v2, vgg_16, resnet_v1_50, inception_v3
        (AlexNet(10), 224, 195, 32),
        (AlexNetOriginal(10), 227, 195, 32),
        (VGG(16, 10), 224, 212, 32),
        (ResNet50(num_classes=10, version="v1"), 224, 483, 32),
        (InceptionV3(10), 299, 1311, 32),
        # v1.5 strides in the 3x3: less by 8, 16 and 32 in the first blocks of stages 2, 3 and 4
        (ResNet50(num_classes=10), 224, 483 - 8 - 16 - 32, 32),
        # 27 behind pool2, then two, five and two modules of the widest branch between two pools
        (GoogLeNet2014(10), 224, 27 + 2 * 32 + 16 + 5 * 64 + 32 + 2 * 128, 32),  # 5x5
        (GoogLeNet(10), 224, 27 + 2 * 16 + 16 + 5 * 32 + 16 + 2 * 64, 32),  # 3x3, pool4 2x2
        # patches of 4; three windows at stride 2, a pooling, two at 4, a pooling, one at 8
        (QuickResNet(num_classes=10), 32, 4 + 3 * 4 + 2 + 2 * 8 + 4 + 16, 8),
        (NiN(10), 32, 5 + 2 + 2 * 4 + 2 * 2 + 4 * 2, 4),
    ],
)
def test_receptive_field_of_published_networks(model, side, size, stride):
    x = struct(1, side, side, 3)
    init = functools.partial(model.init, train=False)
    variables = jax.eval_shape(init, jax.random.key(0), x)
    jaxpr = jax.make_jaxpr(functools.partial(model.apply, train=False))(variables, x)
    field = receptive_field(jaxpr, len(jax.tree.leaves(variables)))
    assert field == ([size, size], [stride, stride])


class Pooled(nn.Module):
    """A 3x3 convolution of stride 2, pooling, a 3x3 convolution."""

    pool: functools.partial

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(4, (3, 3), 2)(x)
        return nn.Conv(4, (3, 3))(self.pool(x))


@pytest.mark.parametrize(
    "kind",
    [
        pooling.max_pool,
        pooling.average_pool,
        pooling.sum_pool,
        functools.partial(pooling.norm_pool, p=3),
    ],
)
@pytest.mark.parametrize(
    ("options", "size", "stride"),
    [
        (dict(window=2), [3 + 2 + 8, 3 + 2 + 8], [4, 4]),
        (dict(window=3, strides=2, padding=1), [3 + 4 + 8, 3 + 4 + 8], [4, 4]),
        (dict(window=3, strides=2, ceil=True), [3 + 4 + 8, 3 + 4 + 8], [4, 4]),
        (dict(window=3, strides=1, padding="SAME"), [3 + 4 + 4, 3 + 4 + 4], [2, 2]),
        (dict(window=2, strides=3), [3 + 2 + 12, 3 + 2 + 12], [6, 6]),
        (dict(window=1, strides=2), [3 + 8, 3 + 8], [4, 4]),
        (dict(window=(4, 1), strides=(2, 1)), [3 + 6 + 8, 3 + 4], [4, 2]),
        (
            dict(window=(1, 5), strides=(1, 4), padding=((0, 0), (2, 1))),
            [3 + 4, 3 + 8 + 16],
            [2, 8],
        ),
    ],
)
def test_receptive_field_of_every_pooling(kind, options, size, stride):
    net = Pooled(functools.partial(kind, **options))
    assert receptive_field(*of_module(net, 1, 80, 76, 1)) == (size, stride)


def test_receptive_field_of_a_pooling_too_long_for_slices():
    net = Pooled(functools.partial(pooling.max_pool, window=(pooling.LONG + 1, 2), strides=1))
    field = receptive_field(*of_module(net, 1, 80, 76, 1))
    assert field == ([3 + 2 * pooling.LONG + 4, 3 + 2 + 4], [2, 2])


@pytest.mark.parametrize(
    "pool",
    [pooling.global_max, pooling.global_average, lambda x: pooling.max_pool(x, 5, 3)],
)
def test_receptive_field_ends_where_one_place_is_left(pool):
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(3)(pool(nn.Conv(4, (3, 5))(x)))

    assert receptive_field(*of_module(Net(), 1, 7, 6, 1)) == ([3, 5], [1, 1])


def test_receptive_field_goes_by_axis_where_one_axis_ends_first():
    """As in a line reader: the height is pooled away, and the convolutions go on along the line."""

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = pooling.max_pool(nn.Conv(4, (3, 3))(x), (8, 2))
            return nn.Conv(4, (1, 3))(x)

    assert receptive_field(*of_module(Net(), 1, 8, 32, 1)) == ([3, 3 + 1 + 4], [1, 2])
