"""Exploration: advantages by hand, the gradient of the loss from the walk, rewards, masks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from nets.data.grid_worlds import GridWorlds
from nets.errors import UserError
from nets.layers import grid_world
from nets.lstm import LSTM
from nets.neural_slam import SLAM, Explorer
from nets.tasks.advantage import generalised_advantage
from nets.tasks.explore import Explore, Walk
from nets.tasks.explore_figures import exploration

BATCH = GridWorlds(side=7).draw(np.random.default_rng(0), 5, "train")
KEY = jax.random.key(0)


class Stub(nn.Module):
    """An agent whose logits and value are parameters."""

    view: int = 3

    @nn.compact
    def __call__(self, x):
        logits = self.param("logits", nn.initializers.zeros, (3,))
        value = self.param("value", nn.initializers.constant(0.2), ())
        shape = x.shape[:-1]
        return jnp.broadcast_to(logits, (*shape, 3)), jnp.broadcast_to(value, shape)

    def step(self, carry, x):
        return carry, x

    policy = __call__

    def check_world(self, side):
        pass

    def initial_carry(self, rows):
        return ((jnp.zeros(rows),),)


@pytest.mark.parametrize("decay", [0.0, 0.7, 1.0])
def test_advantages_are_the_sum_of_later_differences(decay):
    rng = np.random.default_rng(0)
    rewards, values = rng.normal(size=(2, 2, 5))
    expected = np.zeros((2, 5))
    for row in range(2):
        for t in range(5):
            for later in range(t, 5):
                after = values[row, later + 1] if later < 4 else 0.0
                difference = rewards[row, later] + 0.9 * after - values[row, later]
                expected[row, t] += (0.9 * decay) ** (later - t) * difference
    advantage = generalised_advantage(jnp.asarray(rewards), jnp.asarray(values), 0.9, decay)
    np.testing.assert_allclose(advantage, expected, rtol=1e-4, atol=1e-5)


def test_the_gradient_is_that_of_the_walk():
    task = Explore(steps=12, reward=0.3, discount=0.9, decay=1.0, entropy=0.0, value=0.5)
    params, state = task.init(Stub(), KEY, BATCH)
    gradient = jax.jit(jax.grad(lambda p: task.loss(Stub(), p, state, BATCH, KEY, True)[0]))(params)
    walk = task.walk(Stub(), params, BATCH, KEY)
    turn = np.diff(np.asarray(walk.poses[..., 2]), axis=1) % 4
    actions = np.array([0, 2, 0, 1])[turn]  # right is 2, left is 1
    returns = np.zeros((5, 12))
    for t in reversed(range(12)):
        returns[:, t] = 0.3 * walk.rewards[:, t] + (0.9 * returns[:, t + 1] if t < 11 else 0)
    score = np.eye(3)[actions] - 1 / 3
    expected = -((returns - 0.2)[..., None] * score).mean((0, 1))
    np.testing.assert_allclose(gradient["logits"], expected, rtol=1e-4, atol=1e-6)
    value = 0.5 * 2 * (0.2 - returns).mean()
    np.testing.assert_allclose(gradient["value"], value, rtol=1e-4)


def test_the_bonus_spreads_the_policy():
    task = Explore(steps=3, reward=1e-6, entropy=1.0, value=0.0)
    params = {"logits": jnp.array([1.0, 0.0, 0.0]), "value": jnp.zeros(())}
    gradient = jax.grad(lambda p: task.loss(Stub(), p, {}, BATCH, KEY, True)[0])(params)
    p = np.exp([1.0, 0, 0]) / np.exp([1.0, 0, 0]).sum()
    expected = p * (np.log(p) - (p * np.log(p)).sum())  # of -H
    np.testing.assert_allclose(gradient["logits"], expected, atol=1e-4)


def test_rewards_are_the_cells_that_came_into_view():
    task = Explore(steps=20)
    params, _ = task.init(Stub(), KEY, BATCH)
    walk = jax.jit(lambda: task.walk(Stub(), params, BATCH, KEY))()
    walls = BATCH["inputs"] > 0.5
    before, _ = grid_world.begin(jnp.asarray(walls), BATCH["pose"], 3)
    gained = (walk.seen & ~walls).sum((1, 2)) - (before.seen & ~walls).sum((1, 2))
    np.testing.assert_array_equal(walk.rewards.sum(1), gained)
    np.testing.assert_array_equal(walk.poses[:, 0], BATCH["pose"])
    batch = BATCH | {"mask": np.array([1, 1, 0, 0, 0], np.float32)}
    _, (_, metrics) = task.loss(Stub(), params, {}, batch, KEY, False)
    share = (walk.seen & ~walls).sum((1, 2)) / (~walls).sum((1, 2))
    np.testing.assert_allclose(metrics["explored"][0], share[:2].sum(), rtol=1e-6)
    assert metrics["explored"][1] == 2


@pytest.mark.parametrize("cell", [SLAM(4, size=13, width=2, reach=2), LSTM(4)])
def test_a_picture_for_each_world_and_for_its_map(cell):
    task, model = Explore(steps=4), Explorer(cell=cell, hidden=8)
    params, _ = task.init(model, KEY, BATCH)
    walk = jax.tree.map(np.asarray, jax.jit(lambda: task.walk(model, params, BATCH, KEY))())
    figure = exploration(BATCH["inputs"] > 0.5, walk)
    assert len(figure.images) == len(figure.captions) == (10 if isinstance(cell, SLAM) else 5)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_learned_map_is_orange_where_walls_are_and_white_where_nothing_is_written(sign):
    """Of either sign of what is written there; the pixel in the middle of a cell tells."""
    walls = np.zeros((5, 5), bool)
    walls[0], walls[:, 0] = True, True
    memory = np.zeros((2, 9, 9))
    grid = np.where(walls, sign, -sign)
    grid[4, 4] = 0
    memory[0, 2:7, 2:7] = grid  # the agent stands in the middle of world and map
    carry = (SLAM().initial_carry((1,))._replace(memory=memory.reshape(1, 2, 81)),)
    poses = np.array([[[2, 2, 0]]])
    seen = np.zeros((1, 5, 5), bool)
    walk = Walk(None, None, None, None, poses, seen, (carry,))
    image = exploration(walls[None], walk).images[1]
    colours = image[4::9, 4::9]
    reddish = colours[..., 0] > colours[..., 2] + 20
    np.testing.assert_array_equal(reddish, walls)
    assert (colours[4, 4] == 255).all() and (colours != 255).any(-1).sum() == 24


def test_a_world_wider_than_the_map_is_refused():
    """From one corner of 5 x 5 free cells to the border at the other side are 5 cells."""
    task = Explore()
    with pytest.raises(ValueError, match="at least 2 side - 3 = 11 for worlds of side 7, got 9"):
        task.init(Explorer(cell=SLAM(4, size=9, reach=2)), KEY, BATCH)
    jax.eval_shape(lambda: task.init(Explorer(cell=SLAM(4, size=11, reach=2)), KEY, BATCH))


@pytest.mark.parametrize(
    ("field", "value"), [("steps", 0), ("discount", 1.5), ("entropy", -1.0), ("reward", 0.0)]
)
def test_a_task_that_cannot_be_is_told(field, value):
    with pytest.raises(UserError, match=f"{field} must be"):
        Explore(**{field: value})
