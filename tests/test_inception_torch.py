"""Inception-v3's parts against twins in torch with torchvision's names."""

import functools

import jax
import jax.numpy as jnp
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from nets.inception import MIXED, AuxiliaryHead, InceptionV3, Mixed  # noqa: E402
from nets.layers.classification_head import conv_and_norm  # noqa: E402
from nets.layers.conv_norm_act import ConvNormAct  # noqa: E402
from tests.support.torch_names import (  # noqa: E402
    BasicConv2d,
    assert_close,
    assert_equal,
    drawn,
    images,
    nchw,
    to_torch,
)


class Twin(nn.Module):
    """Named parts, and what is computed with them."""

    def __init__(self, forward, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.compute = forward

    def forward(self, x):
        return self.compute(self, x)


def cat(*branches):
    return torch.cat(branches, 1)


def average(x):
    return F.avg_pool2d(x, 3, stride=1, padding=1)


TWINS = {
    "Mixed_5c": lambda: Twin(
        lambda m, x: cat(
            m.branch1x1(x),
            m.branch5x5_2(m.branch5x5_1(x)),
            m.branch3x3dbl_3(m.branch3x3dbl_2(m.branch3x3dbl_1(x))),
            m.branch_pool(average(x)),
        ),
        branch1x1=BasicConv2d(256, 64, 1),
        branch5x5_1=BasicConv2d(256, 48, 1),
        branch5x5_2=BasicConv2d(48, 64, 5, padding=2),
        branch3x3dbl_1=BasicConv2d(256, 64, 1),
        branch3x3dbl_2=BasicConv2d(64, 96, 3, padding=1),
        branch3x3dbl_3=BasicConv2d(96, 96, 3, padding=1),
        branch_pool=BasicConv2d(256, 64, 1),
    ),
    "Mixed_6a": lambda: Twin(
        lambda m, x: cat(
            m.branch3x3(x),
            m.branch3x3dbl_3(m.branch3x3dbl_2(m.branch3x3dbl_1(x))),
            F.max_pool2d(x, 3, stride=2),
        ),
        branch3x3=BasicConv2d(288, 384, 3, stride=2),
        branch3x3dbl_1=BasicConv2d(288, 64, 1),
        branch3x3dbl_2=BasicConv2d(64, 96, 3, padding=1),
        branch3x3dbl_3=BasicConv2d(96, 96, 3, stride=2),
    ),
    "Mixed_6b": lambda: Twin(
        lambda m, x: cat(
            m.branch1x1(x),
            m.branch7x7_3(m.branch7x7_2(m.branch7x7_1(x))),
            m.branch7x7dbl_5(
                m.branch7x7dbl_4(m.branch7x7dbl_3(m.branch7x7dbl_2(m.branch7x7dbl_1(x))))
            ),
            m.branch_pool(average(x)),
        ),
        branch1x1=BasicConv2d(768, 192, 1),
        branch7x7_1=BasicConv2d(768, 128, 1),
        branch7x7_2=BasicConv2d(128, 128, (1, 7), padding=(0, 3)),
        branch7x7_3=BasicConv2d(128, 192, (7, 1), padding=(3, 0)),
        branch7x7dbl_1=BasicConv2d(768, 128, 1),
        branch7x7dbl_2=BasicConv2d(128, 128, (7, 1), padding=(3, 0)),
        branch7x7dbl_3=BasicConv2d(128, 128, (1, 7), padding=(0, 3)),
        branch7x7dbl_4=BasicConv2d(128, 128, (7, 1), padding=(3, 0)),
        branch7x7dbl_5=BasicConv2d(128, 192, (1, 7), padding=(0, 3)),
        branch_pool=BasicConv2d(768, 192, 1),
    ),
    "Mixed_7a": lambda: Twin(
        lambda m, x: cat(
            m.branch3x3_2(m.branch3x3_1(x)),
            m.branch7x7x3_4(m.branch7x7x3_3(m.branch7x7x3_2(m.branch7x7x3_1(x)))),
            F.max_pool2d(x, 3, stride=2),
        ),
        branch3x3_1=BasicConv2d(768, 192, 1),
        branch3x3_2=BasicConv2d(192, 320, 3, stride=2),
        branch7x7x3_1=BasicConv2d(768, 192, 1),
        branch7x7x3_2=BasicConv2d(192, 192, (1, 7), padding=(0, 3)),
        branch7x7x3_3=BasicConv2d(192, 192, (7, 1), padding=(3, 0)),
        branch7x7x3_4=BasicConv2d(192, 192, 3, stride=2),
    ),
    "Mixed_7b": lambda: Twin(
        lambda m, x: cat(
            m.branch1x1(x),
            *(m.branch3x3_2a(m.branch3x3_1(x)), m.branch3x3_2b(m.branch3x3_1(x))),
            m.branch3x3dbl_3a(m.branch3x3dbl_2(m.branch3x3dbl_1(x))),
            m.branch3x3dbl_3b(m.branch3x3dbl_2(m.branch3x3dbl_1(x))),
            m.branch_pool(average(x)),
        ),
        branch1x1=BasicConv2d(1280, 320, 1),
        branch3x3_1=BasicConv2d(1280, 384, 1),
        branch3x3_2a=BasicConv2d(384, 384, (1, 3), padding=(0, 1)),
        branch3x3_2b=BasicConv2d(384, 384, (3, 1), padding=(1, 0)),
        branch3x3dbl_1=BasicConv2d(1280, 448, 1),
        branch3x3dbl_2=BasicConv2d(448, 384, 3, padding=1),
        branch3x3dbl_3a=BasicConv2d(384, 384, (1, 3), padding=(0, 1)),
        branch3x3dbl_3b=BasicConv2d(384, 384, (3, 1), padding=(1, 0)),
        branch_pool=BasicConv2d(1280, 192, 1),
    ),
}
CHANNELS = {"5c": 256, "6a": 288, "6b": 768, "7a": 768, "7b": 1280}
CONV, NORM = conv_and_norm(jnp.float32, jnp.float32, train=False)
UNIT = functools.partial(ConvNormAct, conv=CONV, norm=functools.partial(NORM, epsilon=1e-3))


@pytest.mark.parametrize("name", TWINS)
def test_a_mixed_block_of_inception(name):
    x = images(2, 7, 6, CHANNELS[name.removeprefix("Mixed_")])
    assert_equal(Mixed(MIXED[name], UNIT), TWINS[name](), x)


def test_inceptions_auxiliary_head():
    theirs = Twin(
        lambda m, x: m.fc(m.conv1(m.conv0(F.avg_pool2d(x, 5, stride=3))).mean((2, 3))),
        conv0=BasicConv2d(32, 128, 1),
        conv1=BasicConv2d(128, 768, 5),
        fc=nn.Linear(768, 5),
    )
    assert_equal(AuxiliaryHead(5, UNIT), theirs, images(2, 17, 20, 32))


def test_inceptions_stem():
    names = "Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3"
    layers = (
        BasicConv2d(3, 32, 3, stride=2),
        BasicConv2d(32, 32, 3),
        BasicConv2d(32, 64, 3, padding=1),
        BasicConv2d(64, 80, 1),
        BasicConv2d(80, 192, 3),
    )

    def forward(m, x):
        x = F.max_pool2d(m.Conv2d_2b_3x3(m.Conv2d_2a_3x3(m.Conv2d_1a_3x3(x))), 3, stride=2)
        return F.max_pool2d(m.Conv2d_4a_3x3(m.Conv2d_3b_1x1(x)), 3, stride=2)

    theirs = Twin(forward, **dict(zip(names, layers, strict=True)))
    model, x = InceptionV3(0), images(2, 91, 80, 3)
    variables = drawn(model, x, train=False)
    stem = {kind: {name: tree[name] for name in names} for kind, tree in variables.items()}
    theirs.load_state_dict(to_torch(stem, theirs.state_dict()))
    with torch.no_grad():
        expected = theirs.eval()(nchw(x))
    apply = functools.partial(model.apply, train=False, stages=True)
    assert_close(jax.jit(lambda v, x: apply(v, x)[1]["maxpool2"])(variables, x), expected)
