"""Bilinear resizing against torch's interpolate."""

import numpy as np
import pytest

from nets.layers.upsampling import resize_bilinear

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("size", [(16, 20), (45, 61), (9, 10), (9, 25), (5, 7)])
def test_it_equals_torch(size):
    x = np.random.default_rng(0).normal(size=(2, 9, 10, 3)).astype(np.float32)
    theirs = torch.nn.functional.interpolate(
        torch.tensor(x).permute(0, 3, 1, 2), size, mode="bilinear", align_corners=False
    )
    np.testing.assert_allclose(
        resize_bilinear(x, size), theirs.permute(0, 2, 3, 1).numpy(), atol=1e-5
    )
