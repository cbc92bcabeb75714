"""Neural SLAM: a plain loop, the map of a known walk, streams, beliefs, mistakes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.data.grid_worlds import GridWorlds
from nets.layers import grid_world
from nets.layers.recurrent import Recurrent
from nets.lstm import LSTM
from nets.neural_slam import SLAM, Explorer
from nets.tasks.explore_figures import placed

CELL = SLAM(5, size=7, width=3, reach=2)
AHEAD = ((-1, 0), (0, 1), (1, 0), (0, -1))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softplus(x):
    return np.log1p(np.exp(x))


def walked(size, steps, seed=0):
    """Inputs [B, T, 21] of random walks, poses [B, T, 3], walls and what was seen."""
    batch = GridWorlds(side=size, density=0.2).draw(np.random.default_rng(seed), 4, "train")
    walls = batch["inputs"] > 0.5
    state, sight = grid_world.begin(jnp.asarray(walls), batch["pose"], 3)
    rng, motion, inputs, poses = np.random.default_rng(seed), np.zeros((4, 3)), [], []
    for _ in range(steps):
        inputs.append(np.concatenate([sight.reshape(4, -1), motion], axis=1))
        poses.append(state.pose)
        action = rng.choice(3, 4, p=[0.6, 0.2, 0.2]).astype(np.int32)
        before, (state, sight, motion) = (
            state,
            grid_world.move(jnp.asarray(walls), state, action, 3),
        )
    x = np.stack(inputs, axis=1).astype(np.float32)
    return x, np.stack(poses, axis=1), walls, np.asarray(before.seen)


def made(cell, x, scale=0.5):
    params = jax.jit(Recurrent(cell).init)(jax.random.key(0), x)
    noise = jax.random.normal(jax.random.key(1), (10_000,))
    return jax.tree.map(lambda a: a + scale * noise[: a.size].reshape(a.shape), params)


def plain(cell, w, x):
    """Outputs [T, F] of one row x [T, D], cell by cell of the map, offset by offset."""
    n, m, r, hidden = cell.size, cell.width, cell.reach, cell.features
    h = c = np.zeros(hidden)
    position, heading = np.zeros((n, n)), np.array([1.0, 0, 0, 0])
    position[n // 2, n // 2] = 1
    memory, outputs = np.zeros((n, n, m)), []
    for x_t in x:
        i, f, g, o = np.split(x_t @ w["kernel"] + w["bias"] + h @ w["recurrent_kernel"], 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        told = h @ w["head_kernel"] + w["head_bias"]
        key, (strength, gate, power) = np.tanh(told[:m]), told[m : m + 3]
        sight, (forward, left, right) = x_t[:-3].reshape(3, 3, 2), x_t[-3:]
        gone = np.zeros((n, n))
        for k, (down, across) in enumerate(AHEAD):
            for row in range(n):
                for column in range(n):
                    to = (row + down) % n, (column + across) % n
                    gone[to] += heading[k] * position[row, column]
        position = forward * gone + (1 - forward) * position
        heading = np.array(
            [
                left * heading[(k + 1) % 4]
                + right * heading[(k - 1) % 4]
                + (1 - left - right) * heading[k]
                for k in range(4)
            ]
        )
        lengths = np.sqrt((memory**2).sum(-1) + 1e-6) * np.sqrt((key**2).sum() + 1e-6)
        content = np.exp(softplus(strength) * (memory @ key) / lengths)
        mixed = sigmoid(gate) * content / content.sum() + (1 - sigmoid(gate)) * position
        position = mixed ** (1 + softplus(power))
        position = position / position.sum()
        erased, added = np.zeros((n, n, m)), np.zeros((n, n, m))
        for distance in range(3):
            for side in (-1, 0, 1):
                seen = sight[2 - distance, side + 1]
                e, a = np.split(seen @ w["written_kernel"] + told[m + 3 :], 2)
                for k, offset in enumerate(offsets(distance, side)):
                    share = seen.sum() * heading[k] * np.roll(position, offset, (0, 1))[..., None]
                    erased += share * sigmoid(e)
                    added += share * np.tanh(a)
        memory = memory * (1 - erased) + added
        reads = np.zeros((2 * r + 1, 2 * r + 1, m))
        for i in range(2 * r + 1):
            for j in range(2 * r + 1):
                for k, (down, across) in enumerate(offsets(r - i, j - r)):
                    there = np.roll(memory, (-down, -across), (0, 1))
                    reads[i, j] += heading[k] * (position[..., None] * there).sum((0, 1))
        outputs.append(np.concatenate([h, reads.ravel()]))
    return np.stack(outputs)


def offsets(distance, side):
    """Rows and columns of so many cells ahead and to the right, of each heading."""
    for k in range(4):
        ahead, right = np.array(AHEAD[k]), np.array(AHEAD[(k + 1) % 4])
        yield tuple((distance * ahead + side * right).tolist())


def test_outputs_are_those_of_a_plain_loop():
    x, *_ = walked(6, 5)
    x[:, 2:, -3:] = np.random.default_rng(2).dirichlet(np.ones(4), (4, 3))[..., :3]  # soft motions
    variables = made(CELL, x)
    (weights,) = variables["params"].values()
    y, _ = jax.jit(Recurrent(CELL).apply)(variables, x)
    w = {name: np.asarray(a, np.float64) for name, a in weights.items()}
    for row in range(2):
        np.testing.assert_allclose(y[row], plain(CELL, w, x[row]), rtol=2e-3, atol=2e-4)


def test_a_trusted_motion_draws_the_map_of_what_was_seen():
    x, poses, walls, seen = walked(7, 30)
    cell = SLAM(5, size=13, width=3, reach=2)
    variables = made(cell, x, 0.0)
    (weights,) = variables["params"].values()
    weights |= {name: jnp.zeros_like(weights[name]) for name in ("head_kernel", "written_kernel")}
    bias = jnp.zeros_like(weights["head_bias"]).at[4].set(-40.0)  # no content
    weights["head_bias"] = bias.at[6:9].set(40.0)  # all is erased before something is added
    weights["written_kernel"] = (
        weights["written_kernel"]
        .at[:, 3:]
        .set(
            jnp.array(
                [[9.0, 0.0, 0.0], [0.0, 9.0, 0.0]]
            )  # walls into the first, free into the second
        )
    )
    (name,) = variables["params"]
    _, ((carry,),) = jax.jit(Recurrent(cell).apply)({"params": {name: weights}}, x)
    assert len({*poses[:, 0, 2].tolist()}) > 1
    for row, world in enumerate(walls):
        learned = placed(np.asarray(carry.memory[row]), poses[row, 0], world.shape)
        np.testing.assert_allclose(learned[..., 0], seen[row] & world, atol=1e-3)
        np.testing.assert_allclose(learned[..., 1], seen[row] & ~world, atol=1e-3)
        turn = (poses[row, -1, 2] - poses[row, 0, 2]) % 4
        assert carry.heading[row].argmax() == turn
        place = placed(np.asarray(carry.position[row])[None], poses[row, 0], world.shape)[..., 0]
        assert np.unravel_index(place.argmax(), world.shape) == tuple(poses[row, -1, :2])


def test_beliefs_sum_to_one():
    x, *_ = walked(6, 9)
    _, ((carry,),) = jax.jit(Recurrent(CELL).apply)(made(CELL, x, 2.0), x)
    np.testing.assert_allclose(carry.position.sum(-1), 1, rtol=1e-5)
    np.testing.assert_allclose(carry.heading.sum(-1), 1, rtol=1e-5)
    rng = np.random.default_rng(3)
    beliefs = (np.float32(rng.dirichlet(np.ones(n), 5)) for n in (4, CELL.size**2))
    moved = CELL.motion(
        *map(jnp.asarray, beliefs), jnp.asarray(rng.dirichlet(np.ones(4), 5)[:, :3])
    )
    for belief in (*moved, *CELL.begun(jax.tree.map(jnp.zeros_like, carry))):
        np.testing.assert_allclose(belief.sum(-1), 1, rtol=1e-5)


@pytest.mark.parametrize("cell", [CELL, LSTM(6)], ids=["memory", "lstm"])
def test_a_stream_is_the_whole(cell):
    x, *_ = walked(6, 5)
    model = Explorer(cell=cell, hidden=8)
    variables = jax.jit(model.init)(jax.random.key(0), x)
    noise = jax.random.normal(jax.random.key(1), (10_000,))
    variables = jax.tree.map(lambda a: a + 0.3 * noise[: a.size].reshape(a.shape), variables)
    logits, values, _ = jax.jit(model.apply)(variables, x)
    step = jax.jit(lambda carry, x: model.apply(variables, carry, x, method="step"))
    carry = model.initial_carry(len(x))
    for t in range(x.shape[1]):
        carry, features = step(carry, x[:, t])
        said, value = model.apply(variables, features, method="policy")
        np.testing.assert_allclose(said, logits[:, t], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(value, values[:, t], rtol=1e-4, atol=1e-5)


def test_looking_ahead_is_a_direction_from_the_end():
    x, *_ = walked(6, 3)
    layer = Recurrent(CELL, bidirectional=True, lookahead=2)
    params = jax.jit(layer.init)(jax.random.key(0), x)
    y, _ = jax.jit(layer.apply)(params, x)
    whole = Recurrent(CELL, bidirectional=True)
    np.testing.assert_allclose(
        y[:, 0], jax.jit(whole.apply)(params, x)[0][:, 0], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    ("fields", "inputs", "message"),
    [
        ({"size": 6}, 21, "size must be odd and at least 2 reach \\+ 1 = 7, got 6"),
        ({"size": 5}, 21, "size must be odd and at least 2 reach \\+ 1 = 7, got 5"),
        ({"reach": 1}, 21, "reach must be at least view - 1 = 2, got 1"),
        ({"width": 0}, 21, "width must be at least 1"),
        ({}, 20, "2 V\\^2 \\+ 3 numbers, got 20"),
        ({}, 2, "2 V\\^2 \\+ 3 numbers, got 2"),
        ({}, 11, "2 V\\^2 \\+ 3 numbers, got 11"),
    ],
)
def test_mistakes_are_told(fields, inputs, message):
    layer = Recurrent(SLAM(4, **fields))
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(layer.init, jax.random.key(0), jnp.zeros((2, 3, inputs)))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"view": 5}, "view of side 5"),
        ({"hidden": 0}, "Explorer.hidden must be at least 1, got 0"),
        ({"cell": LSTM(0)}, "cell.features must be at least 1, got 0"),
    ],
)
def test_an_agent_refuses_another_view_and_no_units(fields, message):
    model = Explorer(**{"cell": LSTM(4)} | fields)
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((2, 3, 21)))
