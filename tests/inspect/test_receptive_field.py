"""Receptive fields against figures worked by hand and the gradient of one unit."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.inspect.receptive_field import receptive_field
from tests.support.stacks import VGG16, Stack, conv, of_module, pool

LENET = (conv(6, 5, padding="VALID"), pool(2), conv(16, 5, padding="VALID"), pool(2))


@pytest.mark.parametrize(
    ("layers", "side", "size", "stride"),
    [
        (LENET[:1], 32, 5, 1),
        (LENET[:2], 32, 6, 2),
        (LENET[:3], 32, 14, 2),
        (LENET, 32, 16, 4),
        ((*LENET, ("dense", 120), ("dense", 10)), 32, 16, 4),
        ((conv(4, 3), conv(4, 3), conv(4, 3)), 16, 7, 1),
        ((conv(4, 3, dilation=2),), 16, 5, 1),
        ((conv(4, 3), conv(4, 3, dilation=2), conv(4, 3, dilation=4)), 32, 15, 1),
        ((conv(64, 7, stride=2), pool(3, 2, "SAME")), 224, 11, 4),  # the stem of a ResNet
        (VGG16, 224, 212, 32),
        ((conv(4, 3), conv(4, 1, stride=2)), 16, 3, 2),  # of equal sizes the last
        ((conv(4, 3), pool(16)), 16, 3, 1),  # one place is left: a global pooling
    ],
)
def test_receptive_field_by_hand(layers, side, size, stride):
    field = receptive_field(*of_module(Stack(layers), 1, side, side, 3))
    assert field == ([size, size], [stride, stride])


class Branches(nn.Module):
    """Residual and parallel branches, squeeze and excitation, pooling by reshape, a norm."""

    pooling: str = "window"

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(8, (3, 5), strides=(2, 1))(x)  # 3x5, jump 2x1
        y = nn.Conv(8, (3, 3))(nn.BatchNorm(use_running_average=True)(x))  # 7x7
        gate = nn.sigmoid(nn.Dense(8)(y.mean((1, 2))))
        x = jax.jit(nn.relu)(x + y * gate[:, None, None, :])
        x = x * nn.Conv(8, (1, 1))(nn.avg_pool(x, x.shape[1:3]))
        x = jnp.concatenate([nn.Conv(4, (1, 1))(x), nn.Conv(4, (5, 1))(x)], axis=-1)  # 15x7
        if self.pooling == "window":
            x = nn.avg_pool(x, (2, 2), (2, 2))  # 17x8, jump 4x2
        else:
            b, h, w, c = x.shape
            x = x.reshape(b, h // 2, 2, w // 2, 2, c).mean((2, 4))
        x = nn.GroupNorm(num_groups=2)(x)
        x = nn.Dense(6)(x)[:, 1:, ::2]  # jump 4x4
        x = nn.Conv(6, (3, 3), padding="VALID")(x)  # 17+8 x 8+8
        return nn.Dense(10)(x.mean((1, 2)))


@pytest.mark.parametrize("pooling", ["window", "reshape"])
def test_receptive_field_of_branches_by_hand(pooling):
    assert receptive_field(*of_module(Branches(pooling), 2, 40, 40, 3)) == ([25, 16], [4, 4])


class Shifted(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Conv(1, (1, 1))(x)
        x = x[:, 2:, 1:] + x[:, :-2, :-1]  # 3x2
        return x + jnp.pad(x, ((0, 0), (3, 0), (4, 0), (0, 0)))[:, :-3, :-4]


def test_receptive_field_spans_what_is_shifted():
    assert receptive_field(*of_module(Shifted(), 1, 16, 16, 1)) == ([6, 6], [1, 1])


class Features(nn.Module):
    """A net without biases whose output still has places, to take gradients of."""

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(3, (3, 3), 2, padding="VALID")(x)
        y = nn.Conv(3, (3, 3), kernel_dilation=2)(x)
        x = nn.avg_pool(jnp.concatenate([x, y], -1), (3, 3), (2, 2))
        return nn.Conv(2, (2, 4), padding="VALID")(x)[:, 1:]


def test_receptive_field_is_where_the_gradient_of_one_unit_is_not_zero():
    x = jax.random.normal(jax.random.key(0), (1, 64, 64, 1))
    variables = Features().init(jax.random.key(1), x)
    jaxpr = jax.make_jaxpr(Features().apply)(variables, x)
    size, stride = receptive_field(jaxpr, len(jax.tree.leaves(variables)))

    def seen(row, column):
        gradient = jax.grad(lambda x: Features().apply(variables, x)[0, row, column].sum())(x)
        rows, columns = np.nonzero(np.asarray(gradient[0, :, :, 0]))
        return rows.min(), rows.max(), columns.min(), columns.max()

    top, bottom, left, right = seen(5, 5)
    assert size == [bottom - top + 1, right - left + 1]
    assert stride == [seen(6, 5)[0] - top, seen(5, 6)[2] - left]


class Framed(nn.Module):
    """An image framed by its own minimum; a convolution that differs from platform to platform."""

    @nn.compact
    def __call__(self, x):
        background = x.min((1, 2, 3), keepdims=True)
        inside = np.pad(np.ones((1, 8, 8, 1), bool), ((0, 0), (2, 2), (2, 2), (0, 0)))
        x = jnp.where(inside, jnp.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0))), background)
        kernel = self.param("kernel", nn.initializers.ones, (5, 5, 1, 1))

        def layer(x, kernel):
            return jax.lax.conv_general_dilated(
                x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )

        def rows(x, kernel):
            return layer(x.reshape(1, 12, 12, 1), kernel)

        return jax.lax.platform_dependent(x, kernel, cpu=rows, default=layer)


def test_receptive_field_past_a_frame_and_a_choice_of_platform():
    assert receptive_field(*of_module(Framed(), 1, 8, 8, 1)) == ([5, 5], [1, 1])


def test_receptive_field_is_none_without_a_convolution():
    assert receptive_field(*of_module(Stack((("dense", 10),)), 1, 8, 8, 1)) is None
    assert receptive_field(*of_module(Stack((pool(2),)), 1, 8, 8, 1)) is None


def attend(x):
    tokens = x.reshape(1, 64, 4)
    weights = nn.softmax(tokens @ tokens.swapaxes(1, 2))
    return x + (weights @ tokens).reshape(x.shape)


def loop(x):
    def layer(x):
        return jax.lax.conv_general_dilated(
            x, jnp.ones((3, 3, 4, 4)), (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    return jax.lax.fori_loop(0, 5, lambda i, x: layer(x), x)


class Between(nn.Module):
    """Something between two 3x3 convolutions of 8x8 places, 4 channels."""

    mix: Callable

    @nn.compact
    def __call__(self, x):
        return nn.Conv(4, (3, 3))(self.mix(nn.Conv(4, (3, 3))(x)))


@pytest.mark.parametrize(
    "mix",
    [
        lambda x: x[..., np.array([0, 2, 1, 3])],
        lambda x: x.reshape(1, 8, 8, 2, 2).swapaxes(3, 4).reshape(1, 8, 8, 4),
        lambda x: jnp.concatenate(jnp.split(x, 2, axis=-1), -1),
        lambda x: jnp.cumsum(x, -1),
        lambda x: x - x.mean((0, 1, 2)),
        lambda x: jnp.where(x > 0, x, jax.checkpoint(jnp.exp)(x)),
        lambda x: jnp.einsum("bhwc,cd->bhwd", x, jnp.ones((4, 4))),
    ],
)
def test_receptive_field_goes_through_what_keeps_places(mix):
    with jax.numpy_rank_promotion("allow"):
        assert receptive_field(*of_module(Between(mix), 1, 8, 8, 1)) == ([5, 5], [1, 1])


@pytest.mark.parametrize(
    "mix",
    [
        attend,
        loop,
        lambda x: jax.image.resize(x, (1, 16, 16, 4), "nearest"),
        lambda x: nn.pool(x, 1.0, jax.lax.mul, (2, 2), (2, 2), "VALID"),
        lambda x: x.swapaxes(1, 2),
        lambda x: x + jnp.flip(x, 1),
        lambda x: jnp.cumsum(x, 2),
        lambda x: jax.lax.dynamic_slice(x, (0, 2, 2, 0), (1, 4, 4, 4)),
        lambda x: jnp.concatenate([x, x], 1),
        lambda x: x + nn.max_pool(x, (2, 2), (1, 1), "SAME")[:, ::2, ::2].repeat(2, 1).repeat(2, 2),
        lambda x: jnp.einsum("bhwc,hk->bkwc", x, jnp.ones((8, 8))),
        lambda x: jnp.einsum("bhwc,bijc->bhwij", x, x).sum(-1)[..., :4],
        lambda x: jnp.tensordot(x, x, ((3,), (3,))).sum((3, 4))[..., :4],
        lambda x: jax.lax.conv_transpose(x, jnp.ones((2, 2, 4, 4)), (2, 2), "SAME"),
        lambda x: x[:, ::2, ::2] + x[:, :4, :4],
        lambda x: x[:, np.arange(8)[::-1]],
        lambda x: (2 * x.reshape(-1)).reshape(x.shape),
        lambda x: jnp.tile(x.reshape(1, 2, 4, 8, 4).sum(1), (1, 2, 1, 1)),
    ],
)
def test_receptive_field_is_none_where_it_cannot_be_told(mix):
    assert receptive_field(*of_module(Between(mix), 1, 8, 8, 1)) is None


def test_receptive_field_is_none_where_the_mixing_hides_behind_equal_sizes():
    turned = Between(lambda x: jnp.einsum("bhwc,wk->bhck", x, jnp.ones((4, 4))))
    assert receptive_field(*of_module(turned, 1, 4, 4, 1)) is None


def test_receptive_field_is_none_if_the_last_convolutions_are_in_a_loop():
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            return loop(nn.Conv(4, (3, 3))(x))

    assert receptive_field(*of_module(Net(), 1, 8, 8, 1)) is None
