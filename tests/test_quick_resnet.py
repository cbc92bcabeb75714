"""The quick residual network: its stem's transform, a count by hand, and the same by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft

from nets.layers.filters import cosine_patches
from nets.resnet_cifar import QuickResNet
from tests.test_resnet import batch, cost, parameters, random_variables, shapes

KEY = jax.random.key(0)


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_the_transform_is_orthonormal(channels):
    n = 16 * channels
    kernel = np.asarray(cosine_patches(KEY, (4, 4, channels, n), jnp.float32)).reshape(n, n)
    np.testing.assert_allclose(kernel.T @ kernel, np.eye(n), atol=1e-6)
    mean = kernel[:, 0]  # the lowest of a patch is its brightness
    np.testing.assert_allclose(mean, np.full(n, n**-0.5), atol=1e-6)


def test_the_transform_of_grey_is_scipys_from_low_to_high():
    patch = np.random.default_rng(0).normal(size=(3, 3))
    expected = scipy.fft.dctn(patch, norm="ortho")
    kernel = np.asarray(cosine_patches(KEY, (3, 3, 1, 9), jnp.float32)).reshape(9, 9)
    order = [(0, 0), (0, 1), (1, 0), (0, 2), (1, 1), (2, 0), (1, 2), (2, 1), (2, 2)]
    np.testing.assert_allclose(
        patch.reshape(9) @ kernel, [expected[place] for place in order], atol=1e-6
    )


def test_colours_are_opponent():
    kernel = np.asarray(cosine_patches(KEY, (2, 2, 3, 12), jnp.float32))
    grey, red_blue, green = np.moveaxis(kernel[..., :3], -1, 0)  # all of frequency 0
    np.testing.assert_allclose(grey, np.full((2, 2, 3), 12**-0.5), atol=1e-6)
    np.testing.assert_allclose(red_blue, np.full((2, 2, 3), [1, 0, -1]) / 8**0.5, atol=1e-6)
    np.testing.assert_allclose(green, np.full((2, 2, 3), [-1, 2, -1]) / 24**0.5, atol=1e-6)


@pytest.mark.parametrize("shape", [(4, 4, 3, 47), (2, 4, 3, 24)])
def test_kernels_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"the kernel must be \[n, n, C, n\^2 C\], got"):
        cosine_patches(KEY, shape, jnp.float32)


def test_parameters_multiply_adds_and_stages():
    model = QuickResNet(num_classes=10)
    variables = shapes(model, 1, 32, 32, 3)
    widths = [(48, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256)]
    places = [256, 256, 256, 64, 64, 16]  # the first of a stage comes before its pooling
    norms = 2 * (48 + 2 * (64 + 128 + 256))
    convolutions = 48 * 48 + sum(9 * a * b for a, b in widths)
    assert parameters(variables) == convolutions + norms + 2570
    adds = 256 * 48 * 48 + sum(9 * a * b * n for (a, b), n in zip(widths, places, strict=True))
    assert cost(model, variables, 1, 32, 32, 3) == adds + 2560
    forward = functools.partial(model.clone(num_classes=0).apply, train=False, stages=True)
    headless = shapes(model.clone(num_classes=0), 1, 32, 32, 3)
    x = jax.ShapeDtypeStruct((2, 31, 7, 3), jnp.float32)
    answer, stages = jax.eval_shape(forward, headless, x)
    assert {name: a.shape[1:] for name, a in stages.items()} == {
        "stem": (16, 4, 48), "layer1": (16, 4, 64), "layer2": (8, 2, 128),
        "layer3": (4, 1, 256), "features": (256,),
    }  # fmt: skip
    assert answer.shape == (2, 256) and "fc" not in headless["params"]


def test_it_is_what_it_says():
    model = QuickResNet(widths=(5, 6), pools=(True, False), patch=2, num_classes=3)
    x, variables = batch(2, 6, 4, 3), random_variables(model, 1, 8, 8, 3)
    params, stats = variables["params"], variables["batch_stats"]

    def conv(x, name):  # 3x3, or 2x2 without padding
        kernel = np.asarray(params[name]["kernel"])
        n, pad = len(kernel), len(kernel) // 3
        padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
        high, wide = x.shape[1], x.shape[2]
        if n == 2:
            padded = np.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))
        return sum(
            padded[:, i : i + high, j : j + wide] @ kernel[i, j] for i in range(n) for j in range(n)
        )

    def normed(x, name):
        p, s = params[name], stats[name]
        y = (x - s["mean"]) / np.sqrt(s["var"] + 1e-5) * p["scale"] + p["bias"]
        return np.asarray(jax.nn.gelu(np.asarray(y)))

    x0 = normed(conv(np.asarray(x), "stem_conv"), "stem_bn")
    y = conv(x0, "layer1_conv1").reshape(2, 3, 2, 2, 2, 5).max((2, 4))
    y = normed(y, "layer1_bn1")
    x1 = y + normed(conv(y, "layer1_conv2"), "layer1_bn2")
    y = normed(conv(x1, "layer2_conv1"), "layer2_bn1")
    x2 = y + normed(conv(y, "layer2_conv2"), "layer2_bn2")
    logits = (x2.max((1, 2)) @ params["fc"]["kernel"] + params["fc"]["bias"]) / 8
    found = jax.jit(functools.partial(model.apply, train=False))(variables, x)
    np.testing.assert_allclose(found, logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("fields", "side", "message"),
    [
        ({}, 6, "QuickResNet takes images .* of at least 7 x 7 pixels, not"),
        ({"pools": (True, True)}, 32, r"one entry for each of widths=.* got \(True, True\)"),
        ({"patch": 3}, 32, "patch must be even and at least 2, got 3"),
        ({"patch": 0}, 32, "even and at least 2, got 0"),
        ({"num_classes": None}, 32, "num_classes must be .* got None"),
    ],
)
def test_refusals(fields, side, message):
    with pytest.raises(ValueError, match=message):
        shapes(QuickResNet(**{"num_classes": 10} | fields), 1, side, side, 3)
