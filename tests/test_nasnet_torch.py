"""NASNet's cells and auxiliary head against the same in torch, written out by hand."""

import functools

import jax
import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch.nn import functional as F  # noqa: E402

from nets.layers.classification_head import conv_and_norm  # noqa: E402
from nets.layers.conv_separable import SeparableConv  # noqa: E402
from nets.nasnet import NORMAL, REDUCTION, AuxiliaryHead, Cell  # noqa: E402
from tests.support.torch_names import assert_close, drawn, images, nchw  # noqa: E402

CONV, NORM = conv_and_norm(np.float32, np.float32, train=False)
NORM = functools.partial(NORM, epsilon=1e-3)
SEPARABLE = functools.partial(SeparableConv, use_bias=False)


class Weights:
    """Of the modules by name, with what torch computes by them."""

    def __init__(self, variables):
        self.params, self.kept = variables["params"], variables["batch_stats"]

    def conv(self, x, module, stride=1, groups=1, name=None):
        kernel = self.params[module]["kernel"] if name is None else self.params[module][name]
        kernel = kernel if name is None else kernel["kernel"]
        return F.conv2d(x, torch.tensor(kernel.transpose(3, 2, 0, 1)), stride=stride, groups=groups)

    def norm(self, x, module):
        ours = {**self.params[module], **self.kept[module]}
        values = (torch.tensor(ours[k]) for k in ("mean", "var", "scale", "bias"))
        return F.batch_norm(x, *values, eps=1e-3)

    def separable(self, x, name, k, stride):
        for i in (1, 2):
            x, module = same(torch.relu(x), k, stride), f"{name}_separable_{i}"
            x = self.conv(x, module, stride, x.shape[1], "depthwise")
            x = self.norm(self.conv(x, module, name="pointwise"), f"{name}_bn_sep_{i}")
            stride = 1
        return x


def same(x, k, stride, value=0.0):
    """Padded as TensorFlow does, the odd place at the end."""
    pads = []
    for size in (x.shape[3], x.shape[2]):
        total = max((-(-size // stride) - 1) * stride + k - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads, value=value)


def average(x, stride):
    counts = F.avg_pool2d(same(torch.ones_like(x), 3, stride), 3, stride)
    return F.avg_pool2d(same(x, 3, stride), 3, stride) / counts


def maximum(x, stride):
    return F.max_pool2d(same(x, 3, stride, -torch.inf), 3, stride)


def states(w, x, before):
    """h and p of the release's cells."""
    h = w.norm(w.conv(torch.relu(x), "conv_1x1"), "conv_1x1_bn")
    if before is None:
        return h, x
    p = torch.relu(before)
    if before.shape[2:] != x.shape[2:]:
        shifted = torch.zeros_like(p)
        shifted[:, :, :-1, :-1] = p[:, :, 1:, 1:]
        halves = (
            w.conv(p[:, :, ::2, ::2], "path1_conv"),
            w.conv(shifted[:, :, ::2, ::2], "path2_conv"),
        )
        return h, w.norm(torch.cat(halves, 1), "final_path_bn")
    if "prev_1x1" in w.params:
        return h, w.norm(w.conv(p, "prev_1x1"), "prev_1x1_bn")
    return h, before


def normal(w, x, before):
    h, p = states(w, x, before)
    sep = functools.partial(w.separable, stride=1)
    return torch.cat(
        [
            p,
            sep(h, "comb_iter_0_left", 5) + sep(p, "comb_iter_0_right", 3),
            sep(p, "comb_iter_1_left", 5) + sep(p, "comb_iter_1_right", 3),
            average(h, 1) + p,
            average(p, 1) + average(p, 1),
            sep(h, "comb_iter_4_left", 3) + h,
        ],
        1,
    )


def reduction(w, x, before):
    h, p = states(w, x, before)
    sep = functools.partial(w.separable, stride=2)
    first = sep(h, "comb_iter_0_left", 5) + sep(p, "comb_iter_0_right", 7)
    second = maximum(h, 2) + sep(p, "comb_iter_1_right", 7)
    third = average(h, 2) + sep(p, "comb_iter_2_right", 5)
    fourth = average(first, 1) + second
    fifth = w.separable(first, "comb_iter_4_left", 3, 1) + maximum(h, 2)
    return torch.cat([second, third, fourth, fifth], 1)


@pytest.mark.parametrize(
    "kind, theirs, size, before",
    [
        (NORMAL, normal, (7, 6), (7, 6, 12)),
        (NORMAL, normal, (7, 6), (14, 11, 10)),
        (NORMAL, normal, (4, 4), (4, 4, 8)),  # of the cell's channels already
        (REDUCTION, reduction, (7, 6), (13, 12, 10)),
        (REDUCTION, reduction, (8, 5), None),
    ],
)
def test_cells(kind, theirs, size, before):
    model, x = Cell(kind, 8, CONV, SEPARABLE, NORM), images(2, *size, 12)
    before = None if before is None else images(2, *before)
    variables = drawn(model, x, before=before, rate=None)
    with torch.no_grad():
        given = None if before is None else nchw(before)
        expected = theirs(Weights(variables), nchw(x), given)
    assert expected.std() > 0.1
    ours = jax.jit(lambda v, x, before: model.apply(v, x, before, None))(variables, x, before)
    assert_close(ours, expected)


def test_auxiliary_head():
    model, x = AuxiliaryHead(CONV, NORM), images(2, 14, 11, 12)
    variables = drawn(model, x)
    w = Weights(variables)
    with torch.no_grad():
        y = F.avg_pool2d(torch.relu(nchw(x)), 5, 3)
        y = torch.relu(w.norm(w.conv(y, "proj"), "bn0"))
        y = torch.relu(w.norm(w.conv(y, "conv"), "bn1"))
        assert y.shape == (2, 768, 1, 1)
    assert_close(jax.jit(model.apply)(variables, x), y[:, :, 0, 0])
