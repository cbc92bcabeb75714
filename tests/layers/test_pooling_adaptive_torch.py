import jax
import numpy as np
import pytest

from nets.layers.pooling_adaptive import adaptive_average

torch = pytest.importorskip("torch")


@pytest.mark.parametrize(
    "shape, sizes",
    [((10,), (4,)), ((3,), (7,)), ((13, 6), (6, 6)), ((2, 5), (7, 7)), ((4, 7, 5), (2, 3, 6))],
)
def test_adaptive_average_equals_torch(shape, sizes):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *shape, 3)).astype(np.float32)
    dy = rng.normal(size=(2, *sizes, 3)).astype(np.float32)
    theirs = torch.tensor(np.moveaxis(x, -1, 1), requires_grad=True)
    pool = getattr(torch.nn, f"AdaptiveAvgPool{len(sizes)}d")
    expected = pool(sizes)(theirs)
    expected.backward(torch.tensor(np.moveaxis(dy, -1, 1)))

    @jax.jit
    def both(x, dy):
        y, pull = jax.vjp(lambda x: adaptive_average(x, sizes), x)
        return y, pull(dy)[0]

    y, dx = both(x, dy)
    np.testing.assert_allclose(np.moveaxis(y, -1, 1), expected.detach(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.moveaxis(dx, -1, 1), theirs.grad, rtol=1e-5, atol=1e-6)
