"""The update rules against torch's, at gradients for which epsilon is nothing or nearly all."""

import jax.numpy as jnp
import numpy as np
import pytest

from nets.cli import config
from nets.optim.optimizer import Optimizer
from nets.optim.rules import SGD, Adagrad, Adam, AdamW, Momentum, Nesterov, RMSprop

torch = pytest.importorskip("torch")

EPS = Adam().eps
RULES = {
    SGD(): lambda p: torch.optim.SGD(p, 0.1),
    Momentum(): lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
    Nesterov(): lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
    RMSprop(): lambda p: torch.optim.RMSprop(p, 0.1, alpha=0.9, eps=EPS),
    Adagrad(): lambda p: torch.optim.Adagrad(p, 0.1, eps=EPS),
    Adam(): lambda p: torch.optim.Adam(p, 0.1, eps=EPS),
    AdamW(weight_decay=0.25): lambda p: torch.optim.AdamW(p, 0.1, eps=EPS, weight_decay=0.25),
}


@pytest.mark.parametrize("size", [1.0, 1e-5, 1e-7])
@pytest.mark.parametrize("rule", RULES, ids=config.to_text)
def test_rules_are_torchs(rule, size):
    rng = np.random.default_rng(0)
    start, steps = rng.normal(size=5), 6
    grads = size * rng.normal(size=(steps, 5))
    theirs = torch.nn.Parameter(torch.tensor(start))
    optimizer = RULES[rule]([theirs])
    transformation = Optimizer(rule, 0.1).build(steps)
    ours = {"kernel": jnp.asarray(start, jnp.float32)}
    state, moved = transformation.init(ours), np.zeros(5)
    for grad in grads:
        theirs.grad = torch.tensor(grad)
        optimizer.step()
        grad = {"kernel": jnp.float32(grad)}
        updates, state = transformation.update(grad, state, ours, lr_scale=1.0)
        moved += np.asarray(updates["kernel"], float)  # float32 parameters would round it away
        ours = {"kernel": jnp.asarray(start + moved, jnp.float32)}
        want = theirs.detach().numpy() - start
        np.testing.assert_allclose(moved, want, rtol=2e-4, atol=1e-4 * np.abs(want).max())
