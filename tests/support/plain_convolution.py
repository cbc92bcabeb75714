"""Convolution as NumPy loops, and test cases."""

import itertools

import jax
import numpy as np

from nets.layers.conv import Conv
from tests.support.checks import jit

LAST, PADDED = "_channels_last", "_padded_first"
CASES = {
    "pairs": ((2, 7, 3), (3,), 4, {"padding": ((2, 1),), "strides": 2}, ((2, 1),), LAST),
    "valid": ((2, 8, 3), (4,), 2, {"padding": "VALID", "strides": 3}, ((0, 0),), LAST),
    "same": ((2, 7, 2), (4,), 3, {}, ((1, 2),), LAST),
    "same strided": ((2, 8, 2), (3,), 3, {"strides": 2}, ((0, 1),), LAST),
    "same dilated": ((2, 7, 2), (3,), 3, {"dilation": 2}, ((2, 2),), LAST),
    "causal": ((2, 6, 3), (3,), 2, {"padding": "CAUSAL", "dilation": 2}, ((4, 0),), LAST),
    "causal strided": ((2, 6, 3), (3,), 2, {"padding": "CAUSAL", "strides": 2}, ((2, 0),), LAST),
    "circular": ((2, 6, 2), (4,), 3, {"padding": "CIRCULAR"}, ((1, 2),), LAST),
    "circular, two axes": (
        *((1, 5, 6, 8), (2, 3), 3),
        {"padding": "CIRCULAR", "dilation": (2, 1), "strides": (1, 2)},
        *(((1, 1), (0, 1)), LAST),
    ),
    "number": ((2, 5, 6, 8), (3, 2), 4, {"padding": 2}, ((2, 2), (2, 2)), PADDED),
    "flip": ((2, 5, 6, 8), (3, 2), 4, {"padding": 1, "flip": True}, ((1, 1), (1, 1)), PADDED),
    "dilated": (
        *((1, 9, 8, 2), (3, 2), 3),
        {"strides": (2, 3), "padding": ((1, 0), (0, 2)), "dilation": (2, 3)},
        *(((1, 0), (0, 2)), LAST),
    ),
    "three axes": (
        *((1, 4, 5, 3, 2), (2, 3, 2), 3),
        {"strides": (1, 2, 1), "padding": 1, "dilation": (2, 1, 1)},
        *(((1, 1),) * 3, PADDED),
    ),
    "1x1": ((2, 5, 4, 3), (1, 1), 4, {"strides": (2, 3)}, ((0, 0),) * 2, "_pointwise"),
    "1x1x1": ((1, 2, 3, 4, 2), (1, 1, 1), 3, {"strides": 2}, ((0, 0),) * 3, "_pointwise"),
    "1x1 padded": ((2, 5, 4, 8), (1, 1), 4, {"padding": 1}, ((1, 1),) * 2, PADDED),
    "small": (
        *((2, 8, 9, 3), (3, 4), 5),
        {"strides": (1, 2), "padding": ((1, 2), (0, 3))},
        *(((1, 2), (0, 3)), "_banded"),
    ),
    "small strided": ((2, 8, 6, 3), (3, 4), 5, {"strides": (3, 1)}, ((0, 1), (1, 2)), "_banded"),
    "small circular": ((2, 5, 6, 3), (3, 3), 5, {"padding": "CIRCULAR"}, ((1, 1),) * 2, "_banded"),
    "deep": (
        *((1, 5, 4, 64), (3, 2), 2),
        {"strides": (2, 1), "padding": ((1, 2), (0, 1))},
        *(((1, 2), (0, 1)), LAST),
    ),
    "deep, one axis": (
        *((1, 9, 64), (3,), 2, {"dilation": 2, "padding": "CAUSAL", "strides": 3}),
        *(((4, 0),), LAST),
    ),
    "image smaller than the window": (
        *((2, 2, 3, 8), (3, 2), 4, {"padding": 1}),
        *(((1, 1), (1, 1)), "_tap_by_tap"),
    ),
    "two groups": ((1, 4, 5, 4), (3, 2), 6, {"groups": 2}, ((1, 1), (0, 1)), "_by_groups"),
    "deep groups": ((1, 2, 3, 128), (2, 2), 2, {"groups": 2}, ((0, 1),) * 2, "_by_groups"),
    "five groups": (
        *((1, 4, 5, 10), (3, 2), 10, {"groups": 5, "strides": (1, 2), "dilation": (1, 2)}),
        *(((1, 1), (1, 1)), "_by_groups"),
    ),
    "as large as the image": (
        *((2, 3, 4, 5), (3, 4), 2, {"padding": "VALID", "strides": 2}),
        *(((0, 0), (0, 0)), "_whole"),
    ),
    "more outputs than inputs": (
        *((2, 9, 3), (3,), 2, {"padding": ((3, 2),)}),
        *(((3, 2),), PADDED),
    ),
    "depthwise": (
        *((2, 5, 4, 3), (2, 3), 6, {"groups": 3, "strides": 2, "padding": ((1, 0), (1, 2))}),
        *(((1, 0), (1, 2)), "_depthwise"),
    ),
    "depthwise, three axes": (
        *((1, 3, 4, 2, 2), (2, 3, 1), 2, {"groups": 2, "dilation": (1, 1, 2)}),
        *(((0, 1), (1, 1), (0, 0)), "_depthwise"),
    ),
    "depthwise, long": (
        *((1, 70, 2), (65,), 4, {"groups": 2, "padding": "VALID"}),
        *(((0, 0),), None),
    ),
}
"""Shape of x, window, features, options of Conv, their padding by hand, and the CPU algorithm."""


def plain(x, kernel, pads, strides=1, dilation=1, groups=1, padding=None, flip=False):
    """Place by position, tap by tap; the padding is that of `pads`."""
    x = np.pad(x, ((0, 0), *pads, (0, 0)), mode="wrap" if padding == "CIRCULAR" else "constant")
    *window, inner, features = kernel.shape
    rank = len(window)
    strides, dilation = ((n,) * rank if isinstance(n, int) else n for n in (strides, dilation))
    starts = [
        [first for first in range(0, size, stride) if first + step * (taps - 1) < size]
        for size, taps, stride, step in zip(x.shape[1:-1], window, strides, dilation, strict=True)
    ]
    y = np.zeros((len(x), *map(len, starts), features))
    for position in np.ndindex(*y.shape[1:-1]):
        for tap, f in itertools.product(np.ndindex(*window), range(features)):
            at = [s[p] + t * d for s, p, t, d in zip(starts, position, tap, dilation, strict=True)]
            weights = kernel[tuple(w - 1 - t for w, t in zip(window, tap, strict=True))]
            weights = (weights if flip else kernel[tap])[:, f]
            first = f // (features // groups) * inner
            y[:, *position, f] += x[:, *at, first : first + inner] @ weights
    return y


def case(name):
    """A model, parameters, x, weights of the outputs, padding, options and CPU algorithm."""
    shape, window, features, options, pads, algorithm = CASES[name]
    rng = np.random.default_rng(0)
    model = Conv(features, window, dtype=None, **options)
    kernel = (*window, shape[-1] // options.get("groups", 1), features)
    params = {"kernel": rng.normal(size=kernel), "bias": rng.normal(size=features)}
    x = rng.normal(size=shape)
    weights = rng.normal(size=plain(x, params["kernel"], pads, **options).shape)
    return model, params, x, weights, pads, options, algorithm


def with_gradients(model):
    """A function of params, x and weights: y, and the gradients of sum(weights * y)."""

    def run(params, x, weights):
        y, pullback = jax.vjp(lambda params, x: model.apply({"params": params}, x), params, x)
        return y, pullback(weights)

    return jit(run)
