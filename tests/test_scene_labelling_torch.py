"""Farabet et al.'s network against the same in torch, of a pyramid by hand."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch.nn import functional as F  # noqa: E402

from nets.interop.torch_vision import vision_to_torch  # noqa: E402
from nets.layers.image_pyramid import YUV  # noqa: E402
from nets.scene_labelling import SceneLabelling  # noqa: E402
from tests.layers.test_image_pyramid import expanded, reduced  # noqa: E402
from tests.support.torch_names import answers, assert_close, drawn  # noqa: E402


def by_channel(function, x, *arguments):
    """`function` of every image and channel of x [B, C, H, W]."""
    made = [[function(plane, *arguments) for plane in image] for image in x]
    return np.array(made)


def test_it_equals_torch():
    model = SceneLabelling(num_classes=3, widths=(4, 6), colour=1, neighbourhood=None, hidden=8)
    x = np.random.default_rng(0).normal(size=(2, 18, 25, 3)).astype(np.float32)
    variables = drawn(model, x, train=False)
    state = {k: torch.tensor(a) for k, a in vision_to_torch(variables, model).items()}

    def conv(x, name):
        weight = state[f"{name}.weight"]
        return F.conv2d(x, weight, state[f"{name}.bias"], padding=weight.shape[-1] // 2)

    def features(x):
        y, uv = x[:, :1], x[:, 1:]
        x = torch.cat([conv(y, "features.conv1_y"), conv(uv, "features.conv1_uv")], 1)
        return conv(F.max_pool2d(torch.tanh(x), 2, ceil_mode=True), "features.conv2")

    level, levels = (x @ YUV.T).transpose(0, 3, 1, 2), []
    for _ in range(2):
        smaller = by_channel(reduced, level)
        levels.append(level - by_channel(expanded, smaller, level.shape[2:]))
        level = smaller
    made = [features(torch.tensor(level).float()) for level in (*levels, level)]
    resize = {"mode": "bilinear", "align_corners": False}
    made = [F.interpolate(y, made[0].shape[2:], **resize) for y in made]
    hidden = torch.tanh(conv(torch.cat(made, 1), "hidden"))
    expected = F.interpolate(conv(hidden, "logits"), x.shape[1:3], **resize)
    assert expected.std() > 0.1
    assert_close(answers(model, variables, x, train=False), expected)
