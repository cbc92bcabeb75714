"""The loss of a segmentation is torch's, with void and class weights, and so is its gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.tasks import metrics
from nets.tasks.segment import pixel_loss

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_and_its_gradient_are_torchs(weighted):
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(3, 5, 6, 4)).astype(np.float32)
    targets = rng.integers(-1, 4, (3, 5, 6))
    weights = np.array([0.3, 1.0, 2.5, 0.0], np.float32)
    batch = {"targets": jnp.asarray(targets, jnp.int32)}
    batch |= {"class_weights": jnp.tile(weights, (3, 1))} if weighted else {}
    ours, slope = jax.value_and_grad(lambda x: metrics.mean(pixel_loss(x, batch)))(
        jnp.asarray(logits)
    )
    scores = torch.tensor(logits, requires_grad=True)
    theirs = torch.nn.functional.cross_entropy(
        scores.movedim(-1, 1), torch.tensor(targets), ignore_index=-1,
        weight=torch.tensor(weights) if weighted else None,
    )  # fmt: skip
    theirs.backward()
    assert float(ours) == pytest.approx(theirs.item(), rel=1e-6)
    np.testing.assert_allclose(slope, scores.grad.numpy(), rtol=1e-5, atol=1e-8)
