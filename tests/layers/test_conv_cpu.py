"""CPU algorithms against XLA's own convolution."""

import functools
import unittest.mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers import conv
from nets.layers.conv import Conv, convolve
from tests.support.checks import assert_close, jit
from tests.support.plain_convolution import CASES, case, with_gradients


@pytest.mark.parametrize("name", [name for name, c in CASES.items() if c[-1]])
def test_a_cpu_algorithm_equals_the_convolution_of_xla(name):
    model, params, x, weights, *_ = case(name)
    with jax.enable_x64(True):
        result = with_gradients(model)(params, x, weights)
        with unittest.mock.patch.object(conv, "cpu_algorithm", return_value=None) as chosen:
            general = with_gradients(model)(params, x, weights)
    assert chosen.called
    assert_close(result, general)


@pytest.mark.parametrize("name", CASES)
def test_the_algorithm_is_that_of_the_case(name):
    model, params, x, *_, algorithm = case(name)
    with unittest.mock.patch.object(conv, "cpu_algorithm", wraps=conv.cpu_algorithm) as choose:
        jax.eval_shape(model.apply, {"params": params}, x)
        chosen = conv.cpu_algorithm(*choose.call_args_list[0].args)
    assert getattr(chosen, "__name__", None) == algorithm


def lowered(platform, shape, kernel, dtype="float32", **options):
    """The program of a convolution and both its gradients, as text."""
    conv = functools.partial(convolve, **options)

    def run(x, kernel, weights):
        y, pullback = jax.vjp(conv, x, kernel)
        return y, pullback(weights)

    x, kernel = jax.ShapeDtypeStruct(shape, dtype), jax.ShapeDtypeStruct(kernel, dtype)
    y = jax.eval_shape(conv, x, kernel)
    return jax.jit(run).trace(x, kernel, y).lower(lowering_platforms=(platform,)).as_text()


# x, kernel, options, how many convolutions are left on a CPU of the forward pass and two gradients
PUBLISHED = {
    "LeNet-5 C1": ((128, 28, 28, 1), (5, 5, 1, 6), {"padding": 2}, 0),
    "LeNet-5 C1, 32 px": ((128, 32, 32, 1), (5, 5, 1, 6), {"padding": "VALID"}, 0),
    "LeNet-5 C3": ((128, 14, 14, 6), (5, 5, 6, 16), {"padding": "VALID"}, 0),
    "ZipNet H2": ((128, 12, 12, 12), (5, 5, 12, 12), {"padding": "VALID", "strides": 2}, 0),
    "CIFAR ResNet stem": ((128, 32, 32, 3), (3, 3, 3, 16), {}, 3),
    "CIFAR ResNet layer1": ((128, 32, 32, 16), (3, 3, 16, 16), {}, 3),
    "ResNet-50 conv1": ((8, 224, 224, 3), (7, 7, 3, 64), {"padding": 3, "strides": 2}, 3),
    "ResNet-50 layer1 3x3": ((8, 56, 56, 64), (3, 3, 64, 64), {}, 3),
    "ResNet-50 layer1 1x1": ((8, 56, 56, 64), (1, 1, 64, 256), {}, 0),
    "ResNet-50 shortcut": ((8, 56, 56, 256), (1, 1, 256, 512), {"strides": 2}, 0),
    "ResNet-50 layer2 3x3/2": ((8, 56, 56, 128), (3, 3, 128, 128), {"strides": 2}, 3),
    "ResNet-50 layer3 3x3": ((8, 14, 14, 256), (3, 3, 256, 256), {}, 3),
    "FractalNet block 5": ((8, 2, 2, 512), (3, 3, 512, 512), {}, 0),
    "AlexNet conv2": ((8, 27, 27, 96), (5, 5, 48, 256), {"groups": 2}, 4),
    "ResNeXt layer1": ((8, 56, 56, 128), (3, 3, 4, 128), {"groups": 32}, 4),
    "MobileNet": ((8, 28, 28, 128), (3, 3, 1, 128), {"groups": 128}, 0),
    "WaveNet": ((8, 1000, 32), (2, 32, 64), {"padding": "CAUSAL", "dilation": 64}, 3),
}


@pytest.mark.xla
@pytest.mark.parametrize("name", PUBLISHED)
def test_each_platform_has_its_algorithm(name):
    shape, kernel, options, left = PUBLISHED[name]
    on_cpu = lowered("cpu", shape, kernel, **options)
    assert on_cpu.count("stablehlo.convolution") == left
    assert "feature_group_count = 1" in on_cpu or left == 0
    assert f"group_count = {options.get('groups', 2)}" not in on_cpu
    assert ("stablehlo.dot_general" in on_cpu) == (left < 3 and name != "MobileNet")
    on_gpu = lowered("cuda", shape, kernel, **options)
    assert on_gpu.count("stablehlo.convolution") == 3
    assert "stablehlo.dot_general" not in on_gpu


@pytest.mark.xla
def test_all_convolutions_are_of_channels_last():
    """XLA on a CPU does not transpose other layouts inside a loop, where they are very slow."""
    for shape, kernel, options, left in PUBLISHED.values():
        if left == 3:
            text = lowered("cpu", shape, kernel, **options)
            axes = ", ".join(map(str, range(len(kernel) - 2)))
            numbers = f"[b, {axes}, f]x[{axes}, i, o]->[b, {axes}, f]"
            assert text.count(numbers) == text.count("stablehlo.convolution") == 3
            calls = [line for line in text.splitlines() if "func.call" in line]
            assert sum('inlineable = "false"' in line for line in calls) == 2


@pytest.mark.parametrize("name", ["1x1", "small", "deep", "two groups", "five groups", "dilated"])
def test_bfloat16_computes_in_bfloat16(name):
    shape, window, features, options, *_ = CASES[name]
    kernel = (*window, shape[-1] // options.get("groups", 1), features)
    options = {k: v for k, v in options.items() if k != "flip"}
    text = lowered("cpu", shape, kernel, **options, dtype="bfloat16")
    work = [line for line in text.splitlines() if "dot_general" in line or "convolution" in line]
    assert work and not any("f32" in line for line in work)
    model = Conv(features, window, **options, dtype=jnp.bfloat16)
    x = jax.ShapeDtypeStruct(shape, jnp.float32)
    y, variables = jax.eval_shape(model.init_with_output, jax.random.key(0), x)
    assert y.dtype == jnp.bfloat16
    assert {a.dtype for a in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


def test_forward_mode_and_second_derivatives_are_those_of_xla():
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(1, 4, 4, 64)), rng.normal(size=(3, 3, 64, 2))
    towards = rng.normal(size=x.shape), rng.normal(size=kernel.shape)

    def derivatives(x, kernel, towards):
        def gradient(x, kernel):
            return jax.grad(lambda x, k: jnp.sin(convolve(x, k)).sum(), (0, 1))(x, kernel)

        return jax.jvp(convolve, (x, kernel), towards), jax.jvp(gradient, (x, kernel), towards)

    with jax.enable_x64(True):
        result = jit(derivatives)(x, kernel, towards)
        with unittest.mock.patch.object(conv, "cpu_algorithm", return_value=None):
            general = jit(lambda *arguments: derivatives(*arguments))(x, kernel, towards)
    assert_close(result, general)


def test_patches_are_not_saved_for_the_backward_pass():
    def saved_bytes(shape, kernel, **options):
        shapes = [jax.ShapeDtypeStruct(s, jnp.float32) for s in (shape, kernel)]
        run = functools.partial(convolve, **options)
        leaves = jax.tree.leaves(jax.eval_shape(lambda *a: jax.vjp(run, *a)[1], *shapes))
        return sum(a.size for a in leaves)

    size = 8 * 14 * 14 * 128
    assert saved_bytes((8, 14, 14, 128), (3, 3, 128, 128)) < 3 * size
    assert saved_bytes((8, 14, 14, 128), (3, 3, 1, 128), groups=128) < 3 * size
