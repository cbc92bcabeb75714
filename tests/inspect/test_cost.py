"""Multiply-adds and residual bytes against figures worked by hand or published."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from nets.inspect.cost import multiply_adds, residual_bytes
from tests.support.stacks import VGG16, Stack, of_module, struct


def count(function, *shapes):
    return multiply_adds(jax.make_jaxpr(function)(*[struct(*s) for s in shapes]))


def test_products_are_output_size_times_contracted_size():
    assert count(lambda a, b: a @ b, (3, 4), (4, 5)) == 3 * 4 * 5
    assert count(lambda a, b: jnp.einsum("bhqd,bhkd->bhqk", a, b), (2, 3, 5, 7), (2, 3, 11, 7)) == (
        2 * 3 * 5 * 11 * 7
    )
    assert count(lambda a, b: a + b, (3, 4), (3, 4)) == 0


def test_vgg16_equals_the_published_count():
    """15.470 G multiply-adds, torchvision 0.29."""
    net = Stack((*VGG16, ("dense", 4096), ("dense", 4096), ("dense", 1000)))
    total = multiply_adds(of_module(net, 1, 224, 224, 3)[0])
    assert total == 15_470_264_320
    assert round(total / 1e9, 2) == 15.47


@pytest.mark.parametrize(
    ("options", "by_hand"),
    [
        # 8x8 input with 6 channels -> 10 features
        (dict(kernel_size=(3, 3)), 8 * 8 * 9 * 6 * 10),
        (dict(kernel_size=(3, 3), padding="VALID"), 6 * 6 * 9 * 6 * 10),
        (dict(kernel_size=(3, 5), strides=2), 4 * 4 * 15 * 6 * 10),
        (dict(kernel_size=(3, 3), kernel_dilation=2, padding="VALID"), 4 * 4 * 9 * 6 * 10),
        (dict(kernel_size=(3, 3), feature_group_count=2), 8 * 8 * 9 * 3 * 10),
    ],
)
def test_convolution_by_hand(options, by_hand):
    assert multiply_adds(of_module(nn.Conv(10, **options), 1, 8, 8, 6)[0]) == by_hand


def test_transposed_convolution_counts_its_window_for_each_input_position():
    jaxpr, _ = of_module(nn.ConvTranspose(10, (2, 2), (2, 2)), 1, 8, 8, 6)
    assert multiply_adds(jaxpr) == 8 * 8 * 4 * 6 * 10


def test_batch_groups_share_the_work():
    def grouped(x, kernel):
        return jax.lax.conv_general_dilated(
            x,
            kernel,
            (1, 1),
            "VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            batch_group_count=2,
        )

    # each of the 4 features sees one half of the batch: 1 image out, 2 x 2 places
    assert count(grouped, (2, 4, 4, 3), (3, 3, 3, 4)) == 1 * 2 * 2 * 4 * 9 * 3


def test_scan_multiplies_by_its_length():
    def recur(w, xs):
        return jax.lax.scan(lambda h, x: (jnp.tanh(h @ w + x), None), xs[0], xs)[0]

    assert count(recur, (8, 8), (10, 2, 8)) == 10 * 2 * 8 * 8
    assert count(recur, (8, 8), (100, 2, 8)) == 100 * 2 * 8 * 8

    def nested(w, xs):
        return jax.lax.fori_loop(0, 3, lambda i, h: h + recur(w, xs), xs[0])

    assert count(nested, (8, 8), (10, 2, 8)) == 3 * 10 * 2 * 8 * 8


@pytest.mark.parametrize(
    "wrap",
    [
        jax.jit,
        jax.checkpoint,
        lambda f: jax.jit(jax.jit(f)),
        lambda f: jax.shard_map(
            f,
            mesh=jax.make_mesh((1,), ("d",), axis_types=(jax.sharding.AxisType.Auto,)),
            in_specs=jax.sharding.PartitionSpec(),
            out_specs=jax.sharding.PartitionSpec(),
        ),
    ],
)
def test_calls_are_entered(wrap):
    product = wrap(lambda a, b: jnp.sin(a) @ b)
    assert count(lambda a, b: product(a, b) + 1, (3, 4), (4, 5)) == 60


def test_custom_jvp_is_entered():
    @jax.custom_jvp
    def product(a, b):
        return a @ b

    product.defjvp(lambda primals, tangents: (product(*primals), tangents[0] @ primals[1]))
    assert count(product, (3, 4), (4, 5)) == 60


def test_custom_vjp_counts_the_forward_once():
    @jax.custom_vjp
    def product(a, b):
        return a @ b

    product.defvjp(lambda a, b: (a @ b, (a, b)), lambda kept, g: (g @ kept[1].T, kept[0].T @ g))
    assert count(product, (3, 4), (4, 5)) == 60
    gradient = jax.grad(lambda a, b: product(a, b).sum(), argnums=(0, 1))
    assert count(gradient, (3, 4), (4, 5)) == 2 * 60


def test_shard_map_counts_every_device():
    mesh = jax.sharding.AbstractMesh((4,), ("d",), axis_types=(jax.sharding.AxisType.Auto,))
    rows = jax.sharding.PartitionSpec("d")
    split = jax.shard_map(
        lambda a, b: a @ b,
        mesh=mesh,
        in_specs=(rows, jax.sharding.PartitionSpec()),
        out_specs=rows,
    )
    assert count(split, (8, 4), (4, 5)) == 8 * 4 * 5


def test_conditional_counts_its_costliest_branch():
    def branch(a, b):
        return jax.lax.cond(a.sum() > 0, lambda: a @ b @ b, lambda: a @ b)

    assert count(branch, (3, 4), (4, 4)) == 2 * 3 * 4 * 4


def test_what_depends_on_the_platform_counts_as_its_default():
    def product(a, b):
        return jax.lax.platform_dependent(
            a, b, cpu=lambda a, b: a @ b @ b @ b, default=lambda a, b: a @ b
        )

    assert count(product, (3, 4), (4, 4)) == 3 * 4 * 4


def test_loop_of_unknown_length_is_unbounded_only_if_it_multiplies():
    def product(a, b):
        return jax.lax.while_loop(lambda c: c.sum() < 9, lambda c: c @ b, a)

    def addition(a, b):
        return jax.lax.while_loop(lambda c: c.sum() < 9, lambda c: c + 1, a @ b)

    assert count(product, (3, 4), (4, 4)) is None
    assert count(jax.jit(lambda a, b: product(a, b) @ b), (3, 4), (4, 4)) is None
    assert count(addition, (3, 4), (4, 4)) == 48


def test_what_no_output_needs_is_not_counted():
    def loss(a, b):
        unused = (b.T @ b) @ b.T  # a metric that is thrown away
        return (a @ b).sum(), unused

    assert count(lambda a, b: loss(a, b)[0], (3, 4), (4, 5)) == 60


def test_residuals_of_a_mlp_by_hand():
    batch, inputs, hidden, outputs = 4, 5, 7, 3
    params = {"w1": struct(inputs, hidden), "w2": struct(hidden, outputs)}

    def loss(params, x):
        return ((jnp.sin(x @ params["w1"]) @ params["w2"]) ** 2).sum()

    # cos(x w1) for the sine, sin(x w1) for w2's gradient, 2 y for the square; x, w2 are arguments
    by_hand = 4 * (2 * batch * hidden + batch * outputs)
    assert residual_bytes(loss, params, struct(batch, inputs)) == by_hand
    assert residual_bytes(jax.jit(loss), params, struct(batch, inputs)) == by_hand


def test_recomputing_keeps_less():
    params = [struct(64, 64)] * 8

    def loss(params, x, layer):
        for w in params:
            x = layer(x, w)
        return x.sum()

    def plain(x, w):
        return jnp.sin(x @ w)

    kept = residual_bytes(lambda p, x: loss(p, x, plain), params, struct(16, 64))
    less = residual_bytes(lambda p, x: loss(p, x, jax.checkpoint(plain)), params, struct(16, 64))
    assert kept == 4 * 16 * 64 * (2 * 8 - 1)  # sin and cos of each; the last sin is not needed
    assert less == 4 * 16 * 64 * 7  # the input of each but the first, which is an argument
