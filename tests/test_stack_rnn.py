"""Stacks of a recurrent network: by hand, a plain loop, gradients, causality, mistakes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers.recurrent import Recurrent
from nets.stack_rnn import StackRNN, apply_actions

CELLS = {
    "push and pop": StackRNN(5, stacks=2, size=4, recurrent=False),
    "no-op": StackRNN(5, stacks=3, size=4, depth=1, no_op=True),
}
of_each = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())


def inputs(steps=6):
    return np.random.default_rng(0).normal(size=(2, steps, 4)).astype(np.float32)


@functools.cache
def made(layer):
    variables = jax.jit(layer.init)(jax.random.key(0), inputs())
    return jax.tree.map(
        lambda a: a + 0.5 * jax.random.normal(jax.random.key(1), a.shape), variables
    )


@functools.cache
def run(layer):
    return jax.jit(functools.partial(layer.apply, made(layer)))


def test_pushed_and_popped_by_hand():
    """3, 2 and 1 from the top; half of a push of 8 and half of a pop; nothing below the last."""
    stack, value = jnp.array([[[3.0, 2.0, 1.0]]]), jnp.array([[8.0]])

    def after(*actions):
        return apply_actions(stack, jnp.array([[actions]]), value)[0, 0].tolist()

    assert after(1.0, 0.0) == [8, 3, 2]
    assert after(0.0, 1.0) == [2, 1, 0]
    assert after(0.0, 0.0, 1.0) == [3, 2, 1]
    assert after(0.5, 0.5) == [5, 2, 1]
    assert after(0.25, 0.25, 0.5) == [4, 2, 1]


def test_a_word_is_pushed_and_popped_in_turn():
    """Weights by hand: unit 0 pushes at the first symbol, unit 1 pops at the second."""
    cell = StackRNN(2, stacks=1, size=3, depth=1, recurrent=False)
    layer, large = Recurrent(cell), 100.0
    weights = {
        "kernel": large * jnp.array([[1.0, -1.0], [-1.0, 1.0]]),
        "bias": jnp.zeros(2),
        "recurrent_kernel": jnp.zeros((1, 2)),
        "stack_kernel": large * jnp.array([[1.0, -1.0, 1.0], [-1.0, 1.0, 0.0]]),
    }
    x = jnp.eye(2)[jnp.array([[0, 0, 1, 1]])]  # a a b b
    tops, carry = [], None
    for t in range(4):
        _, carry = layer.apply({"params": {"layer_0": weights}}, x[:, t : t + 1], carry)
        tops.append(float(cell.traces(carry[0][0])["top"][0, 0]))
    assert tops == [1, 1, 1, -1]  # the second b takes the last one; -1 is empty


def plain(cell, w, x):
    """Outputs [T, H], tops [T, S] and actions [T, S, A] of one row, number by number, as lists."""
    h, count = np.zeros(cell.features), 3 if cell.no_op else 2
    stacks = [[-1.0] * cell.size for _ in range(cell.stacks)]
    outputs, tops, taken = [], [], []
    for x_t in x:
        seen = [v for s in stacks for v in s[: cell.depth]]
        seen = np.array([*h, *seen] if cell.recurrent else seen)
        h = 1 / (1 + np.exp(-(x_t @ w["kernel"] + w["bias"] + seen @ w["recurrent_kernel"])))
        columns = (h @ w["stack_kernel"]).reshape(cell.stacks, count + 1)
        new, actions = [], []
        for s, z in zip(stacks, columns, strict=True):
            a = np.exp(z[:count]) / np.exp(z[:count]).sum()
            moved = [1 / (1 + np.exp(-z[count])), *s[:-1]], [*s[1:], -1.0], s
            new.append(sum(p * np.array(m) for p, m in zip(a, moved, strict=False)).tolist())
            actions.append(a)
        stacks = new
        outputs.append(h)
        tops.append([s[0] for s in stacks])
        taken.append(actions)
    return np.array(outputs), np.array(tops), np.array(taken)


@of_each
def test_every_step_is_the_plain_loop(cell):
    layer, x = Recurrent(cell), inputs()
    weights = jax.tree.map(np.asarray, made(layer)["params"]["layer_0"])
    y, _ = run(layer)(x)
    carry, traces = None, []
    for t in range(x.shape[1]):
        _, carry = run(layer)(x[:, t : t + 1], carry)
        traces.append(cell.traces(carry[0][0]))
    names = ["push", "pop", "no-op"][: 3 if cell.no_op else 2]
    assert [*traces[0]] == [*names, "top"]
    for row in range(2):
        outputs, tops, actions = plain(cell, weights, x[row])
        np.testing.assert_allclose(y[row], outputs, atol=1e-5)
        for t, trace in enumerate(traces):
            np.testing.assert_allclose(trace["top"][row], tops[t], atol=1e-5)
            for k, name in enumerate(names):
                np.testing.assert_allclose(trace[name][row], actions[t, :, k], atol=1e-5)


@of_each
def test_gradients_are_finite_differences(cell):
    layer, x = Recurrent(cell), inputs()
    with jax.enable_x64():
        params = jax.tree.map(lambda a: jnp.asarray(a, float), made(layer)["params"])
        exact = layer.clone(dtype=float, param_dtype=float)
        w = jnp.asarray(np.random.default_rng(1).normal(size=(2, 6, 5)))

        @jax.jit
        def loss(params, x):
            return (w * exact.apply({"params": params}, x)[0]).sum()

        grads = jax.jit(jax.grad(loss, (0, 1)))(params, jnp.asarray(x, float))
        point = params, jnp.asarray(x, float)
        rng = np.random.default_rng(2)
        for leaf in range(len(jax.tree.leaves(point))):
            leaves, tree = jax.tree.flatten(point)
            direction = rng.normal(size=leaves[leaf].shape)
            ends = []
            for step in (1e-5, -1e-5):
                moved = [a + step * direction if i == leaf else a for i, a in enumerate(leaves)]
                ends.append(loss(*jax.tree.unflatten(tree, moved)))
            expected = float((ends[0] - ends[1]) / 2e-5)
            found = float((jax.tree.leaves(grads)[leaf] * direction).sum())
            assert expected != 0 and found == pytest.approx(expected, rel=1e-6)


@of_each
def test_nothing_is_seen_early_and_the_stack_remembers(cell):
    layer, x = Recurrent(cell), inputs()
    by_x = jax.grad(lambda x: run(layer)(x)[0][0, 3].sum())(jnp.asarray(x))
    assert by_x[0, 0].any() and by_x[0, 3].any()  # without R the stacks are the only memory
    assert not by_x[0, 4:].any() and not by_x[1].any()


@of_each
def test_a_reset_empties_the_stacks_and_padding_changes_nothing(cell):
    layer, x = Recurrent(cell), inputs()
    reset = jnp.zeros((2, 6), bool).at[0, 2].set(True)
    y, _ = run(layer)(x, reset=reset)
    fresh, _ = run(layer)(x[:, 2:])
    np.testing.assert_allclose(y[0, 2:], fresh[0], atol=1e-6)
    assert np.abs(run(layer)(x)[0][0, 2:] - fresh[0]).max() > 1e-3
    _, padded = run(layer)(x, lengths=jnp.array([6, 1]))
    _, short = run(layer)(x[:, :1])
    for a, b in zip(padded[0][0], short[0][0], strict=True):
        np.testing.assert_allclose(a[1], b[1], atol=1e-6)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"stacks": 0}, "stacks must be at least 1, got 0"),
        ({"size": 0}, "size must be at least 1, got 0"),
        ({"depth": 0}, "depth must be at least 1 and at most 128, got 0"),
        ({"depth": 4, "size": 3}, "depth must be at least 1 and at most 3, got 4"),
    ],
)
def test_mistakes_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(Recurrent(StackRNN(4, **fields)).init, jax.random.key(0), inputs())
