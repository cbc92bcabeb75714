"""U-Net against the same in torch, written by hand."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch.nn import functional as F  # noqa: E402

from nets.interop.torch_vision import vision_to_torch  # noqa: E402
from nets.unet import UNet  # noqa: E402
from tests.support.torch_names import answers, assert_close, drawn  # noqa: E402


def forward(state, x, levels, norm, upsampling):
    """Figure 1 with padding; odd sizes are rounded up by pooling and cut after upsampling."""

    def conv(x, name, padding=0):
        return F.conv2d(x, state[f"{name}.weight"], state.get(f"{name}.bias"), padding=padding)

    def level(x, name):
        for j in (1, 2):
            x = conv(x, f"{name}_conv{j}", 1)
            if norm:
                names = "running_mean", "running_var", "weight", "bias"
                x = F.batch_norm(x, *(state[f"{name}_bn{j}.{kind}"] for kind in names))
            x = torch.relu(x)
        return x

    skips = []
    for i in range(levels):
        x = level(F.max_pool2d(x, 2, ceil_mode=True) if i else x, f"down{i}")
        skips.append(x)
    for i in reversed(range(levels - 1)):
        name = f"upsample{i}"
        if upsampling == "transposed":
            weight = state[f"{name}.weight"].transpose(0, 1)  # torch's has the inputs first
            x = F.conv_transpose2d(x, weight, state[f"{name}.bias"], stride=2)
        else:
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = conv(x, name)  # 1x1: after the interpolation it is the same as before
        skip = skips[i]
        x = level(torch.cat([skip, x[:, :, : skip.shape[2], : skip.shape[3]]], 1), f"up{i}")
    return conv(x, "logits")


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("upsampling", ["transposed", "bilinear"])
@pytest.mark.parametrize("size", [(16, 8), (13, 22)])
def test_it_equals_torch(norm, upsampling, size):
    model = UNet((4, 8, 8), num_classes=3, batch_norm=norm, upsampling=upsampling, dropout=0.5)
    x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype(np.float32)
    variables = drawn(model, x, train=False)
    state = {k: torch.tensor(a) for k, a in vision_to_torch(variables, model).items()}
    expected = forward(state, torch.tensor(x.transpose(0, 3, 1, 2)), 3, norm, upsampling)
    assert expected.std() > 0.1
    assert_close(answers(model, variables, x, train=False), expected)
