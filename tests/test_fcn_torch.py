"""FCN-32s, 16s and 8s as the authors' release has them: its paddings and offsets, in torch."""

import jax
import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch.nn import functional as F  # noqa: E402

from nets.convnet import ConvNet  # noqa: E402
from nets.fcn import FCN  # noqa: E402
from nets.interop.torch_vision import vision_to_torch  # noqa: E402
from tests.support.torch_names import answers, drawn  # noqa: E402

CLASSES = 3
# of voc-fcn32s, 16s and 8s: the offsets of score_pool4, of score_pool3 and of the image
OFFSETS = {1: (19,), 2: (5, 27), 3: (5, 9, 31)}


def released(state, x, skips):
    """net.py of the release, with a backbone of one convolution a stage."""

    def conv(x, name, padding=0):
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=padding)

    def upscore(x, name, stride):
        weight = state[f"{name}.weight"].transpose(0, 1)  # torch's has the inputs first
        return F.conv_transpose2d(x, weight, stride=stride)

    def cropped(x, like, offset):
        return x[:, :, offset : offset + like.shape[2], offset : offset + like.shape[3]]

    pools, y = [], x
    for i in range(1, 6):
        weight = state[f"backbone.conv{i}.weight"]
        y = F.conv2d(y, weight, padding=100 if i == 1 else 1)
        names = "running_mean", "running_var", "weight", "bias"
        y = torch.relu(F.batch_norm(y, *(state[f"backbone.bn{i}.{name}"] for name in names)))
        y = F.max_pool2d(y, 2)
        pools.append(y)
    y = torch.relu(conv(y, "fc6"))
    y = conv(torch.relu(conv(y, "fc7")), "score_pool5")
    offsets = OFFSETS[skips]
    for stage, offset in zip((5, 4)[: skips - 1], offsets[:-1], strict=True):
        y = upscore(y, f"upsample_pool{stage}", 2)
        y = y + cropped(conv(pools[stage - 2], f"score_pool{stage - 1}"), y, offset)
    last = 6 - skips
    return cropped(upscore(y, f"upsample_pool{last}", 2**last), x, offsets[-1])


@pytest.mark.parametrize("skips", [1, 2, 3])
def test_the_published_form_is_the_release(skips):
    stages = ("pool3", "pool4", "pool5")[-skips:]
    backbone = ConvNet((4, 4, 4, 4, 4), (3,) * 5, num_classes=0)
    model = FCN(
        backbone, stages, tuple(2 ** int(name[-1]) for name in stages), num_classes=CLASSES,
        hidden=(8, 8), padding="published",
    )  # fmt: skip
    x = np.random.default_rng(0).normal(size=(1, 26, 58, 3)).astype(np.float32)  # 224 and 256
    variables = drawn(model, x, train=False)
    state = {k: torch.tensor(a) for k, a in vision_to_torch(variables, model).items()}
    expected = released(state, torch.tensor(x.transpose(0, 3, 1, 2)), skips)
    found = answers(model, variables, x, train=False)
    expected = expected.numpy().transpose(0, 2, 3, 1)
    assert found.shape == (1, 26, 58, CLASSES) and expected.std() > 0.02
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_the_backbones_pooling_rounds_up_as_caffes():
    from nets.vgg import VGG

    x = jax.ShapeDtypeStruct((1, 33, 45, 3), np.float32)
    model = VGG(11, num_classes=0, ceil=True)
    run = jax.eval_shape(
        lambda x: model.init_with_output(jax.random.key(0), x, train=False, stages=True), x
    )
    theirs, sizes = torch.zeros(1, 1, 33, 45), []
    for _ in range(5):
        theirs = F.max_pool2d(theirs, 2, ceil_mode=True)
        sizes.append(tuple(theirs.shape[2:]))
    assert [run[0][1][f"pool{i}"].shape[1:3] for i in range(1, 6)] == sizes
