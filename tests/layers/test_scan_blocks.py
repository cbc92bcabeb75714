import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from nets.layers.scan_blocks import scan_blocks, stack_blocks, unstack_blocks


class Toy(nn.Module):
    """A parameter, a statistic and inputs of each block."""

    @nn.compact
    def __call__(self, x, inputs):
        weight = self.param("weight", nn.initializers.normal(), (3,))
        calls = self.variable("batch_stats", "calls", jnp.zeros, (3,))
        if not self.is_initializing():
            calls.value += inputs
        return 2 * x + weight + inputs


class Net(nn.Module):
    blocks: int
    scan: bool

    @nn.compact
    def __call__(self, x, inputs):
        x = Toy(name="stage_0")(x, inputs[0])
        if self.scan:
            return scan_blocks(Toy(name="stage_rest"), x, self.blocks - 1, inputs[1:])
        for i in range(1, self.blocks):
            x = Toy(name=f"stage_{i}")(x, inputs[i])
        return x


GIVEN = np.arange(1.0, 13, dtype=np.float32).reshape(4, 3)


def init(net):
    return jax.jit(net.init)(jax.random.key(0), jnp.zeros(3), GIVEN)


def test_equals_the_blocks_one_by_one():
    plain, scanned = Net(4, scan=False), Net(4, scan=True)
    variables = init(plain)
    x = jnp.array([1.0, 2, 3])
    expected, updated = plain.apply(variables, x, GIVEN, mutable=["batch_stats"])
    result, its_updated = scanned.apply(stack_blocks(variables), x, GIVEN, mutable=["batch_stats"])
    np.testing.assert_allclose(result, expected, rtol=1e-6)
    assert list(updated["batch_stats"]) == [f"stage_{i}" for i in range(4)]
    for i, block in enumerate(unstack_blocks(its_updated)["batch_stats"].values()):
        np.testing.assert_array_equal(block["calls"], GIVEN[i])
    jax.tree.map(np.testing.assert_array_equal, unstack_blocks(its_updated), updated)


def test_blocks_start_and_draw_each_for_itself():
    scanned = Net(4, scan=True)
    weights = init(scanned)["params"]["stage_rest"]["weight"]
    assert weights.shape == (3, 3)
    assert len(np.unique(weights)) == 9

    class Noisy(nn.Module):
        @nn.compact
        def __call__(self, x, inputs):
            return x + inputs * jax.random.normal(self.make_rng("dropout"), ())

    class Chain(nn.Module):
        @nn.compact
        def __call__(self, inputs):
            return scan_blocks(Noisy(name="stage_rest"), jnp.zeros(()), 3, inputs)

    def noise(i):
        return Chain().apply({}, jnp.eye(3)[i], rngs={"dropout": jax.random.key(0)})

    assert len({float(noise(i)) for i in range(3)}) == 3


def test_there_and_back():
    block = {"conv": {"kernel": np.arange(6.0).reshape(2, 3)}, "bn": {"scale": np.float32(2)}}
    params = {f"layer1_{i}": jax.tree.map(lambda a, i=i: a + i, block) for i in range(12)}
    params |= {"layer2_0": block, "layer2_1": {"bias": np.ones(3)}, "fc": block, "conv1": block}
    stats = {"layer1_0": block["bn"], "layer1_1": block["bn"]}
    variables = {"params": params, "batch_stats": stats}
    stacked = stack_blocks(variables)
    assert set(stacked["params"]) == {
        *("layer1_0", "layer1_rest", "layer2_0", "layer2_rest", "fc", "conv1")
    }
    assert stacked["params"]["layer1_rest"]["conv"]["kernel"].shape == (11, 2, 3)
    np.testing.assert_array_equal(
        stacked["params"]["layer1_rest"]["bn"]["scale"], 2 + np.arange(1.0, 12)
    )
    back = unstack_blocks(stacked)
    jax.tree.map(np.testing.assert_array_equal, back, variables)
    assert stacked["params"]["fc"] is block


@pytest.mark.parametrize(
    "blocks, message",
    [
        ({1: (3,), 3: (3,)}, r"stage_i must be numbered 1, 2, ..., got \[1, 3\]"),
        ({2: (3,)}, r"got \[2\]"),
        ({1: (3,), 2: (4,)}, "stage_2 must have arrays with the names and shapes of stage_1"),
    ],
)
def test_refusals(blocks, message):
    params = {f"stage_{i}": {"weight": np.zeros(shape)} for i, shape in blocks.items()}
    with pytest.raises(ValueError, match=message):
        stack_blocks({"params": params})
