"""RoI align and pooling beside torchvision's operators, forward and backward."""

import jax
import numpy as np
import pytest

from nets.layers.roi import roi_align, roi_pool

torch = pytest.importorskip("torch")
SCALE = 0.25


@pytest.fixture(params=["compiled", "plain torch"])
def ops(request):
    from tests.support import torchvision_ops

    return torchvision_ops.ops(request.param)


@pytest.fixture(scope="module")
def regions():
    """Maps of two images [2, H, W, C], and boxes of each [2, R, 4], some of them outside."""
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(2, 9, 13, 3)).astype(np.float32)
    low = rng.uniform(-1.5, [40, 24], (2, 12, 2))
    boxes = np.concatenate([low, low + rng.uniform(0.5, 12, (2, 12, 2))], -1)
    boxes[:, 0] = [0, 0, 52, 36]  # the whole image
    return maps, boxes.astype(np.float32)


OUTSIDE = np.float32(
    [[[60, 50, 75, 90], [-30, -9, 20, 20]], [[45, -60, 66, -40], [40, 30, 90, 80]]]
)
"""Boxes [2, 2, 4], the first of each image wholly outside, the second in part."""


def compare(ours, theirs, regions, size):
    """Outputs [2, R, h, w, C] and gradients of the maps."""
    maps, boxes = regions
    shape = (*boxes.shape[:2], *size, maps.shape[-1])
    gradients = np.random.default_rng(1).normal(size=shape).astype(np.float32)

    @jax.jit
    def both(maps, boxes, gradients):
        outputs, vjp = jax.vjp(lambda maps: jax.vmap(ours)(maps, boxes), maps)
        return outputs, vjp(gradients)[0]

    outputs, back = both(maps, boxes, gradients)
    tensor = torch.tensor(maps).permute(0, 3, 1, 2).requires_grad_()
    expected = theirs(tensor, [torch.tensor(b) for b in boxes])
    expected.backward(torch.tensor(gradients.reshape(-1, *shape[2:])).permute(0, 3, 1, 2))
    in_rows = expected.detach().permute(0, 2, 3, 1).reshape(shape)
    np.testing.assert_allclose(outputs, in_rows, atol=1e-5)
    np.testing.assert_allclose(back, tensor.grad.permute(0, 2, 3, 1), atol=1e-4)
    assert np.abs(outputs).max() > 1 and np.abs(back).max() > 1


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize(("size", "samples"), [((7, 7), 2), ((3, 2), 1)])
def test_align_is_torchvisions(ops, regions, size, samples, aligned):
    def theirs(maps, boxes):
        return ops.roi_align(
            maps, boxes, size, spatial_scale=SCALE, sampling_ratio=samples, aligned=aligned
        )

    compare(lambda x, b: roi_align(x, b, size, SCALE, samples, aligned), theirs, regions, size)


@pytest.mark.parametrize("aligned", [False, True])
def test_align_outside_of_the_image_is_torchvisions(regions, aligned):
    """By the compiled operator alone: torchvision's in Python repeats the border everywhere."""
    from tests.support import torchvision_ops

    ops = torchvision_ops.ops("compiled")

    def theirs(maps, boxes):
        return ops.roi_align(maps, boxes, (7, 7), SCALE, 2, aligned)

    outside = regions[0], OUTSIDE
    compare(lambda x, b: roi_align(x, b, (7, 7), SCALE, 2, aligned), theirs, outside, (7, 7))


@pytest.mark.parametrize("size", [(7, 7), (3, 2)])
def test_pooling_is_torchvisions(ops, regions, size):
    def theirs(maps, boxes):
        return ops.roi_pool(maps, boxes, size, spatial_scale=SCALE)

    maps, boxes = regions
    everywhere = maps, np.concatenate([boxes, OUTSIDE], 1)
    compare(lambda x, b: roi_pool(x, b, size, SCALE), theirs, everywhere, size)
