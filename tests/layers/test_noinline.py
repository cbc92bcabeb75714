import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers.noinline import noinline
from nets.layers.recurrent_cell import gates
from tests.support.checks import compilations

X = jax.ShapeDtypeStruct((4, 6), "float32")


@pytest.mark.xla
@pytest.mark.parametrize("keep", [noinline, lambda function: function])
def test_the_call_remains_in_the_compiled_program(keep):
    inner = keep(jnp.tanh)
    text = jax.jit(lambda x: jnp.multiply(*jnp.split(inner(x), 2))).lower(X).compile().as_text()
    assert (" call(" in text) == (keep is noinline)


def test_static_arguments():
    power = noinline(lambda x, n: x**n, static_argnums=(1,))
    np.testing.assert_array_equal(power(jnp.arange(3), 2), [0, 1, 4])


@pytest.mark.xla
@pytest.mark.parametrize("platform", ["cpu", "cuda"])
def test_gates_are_not_inlined_on_a_cpu_only(platform):
    """Only XLA's CPU compiler is known to support such calls."""
    traced = jax.jit(lambda z: gates(z, "sst")).trace(X)
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    assert ('inlineable = "false"' in text) == (platform == "cpu")


def test_gates_are_compiled_once_outside_of_jit():
    with compilations() as first:
        gates(jnp.ones((3, 4)), "ss")
    with compilations() as again:
        gates(jnp.zeros((3, 4)), "ss")
    assert first and not again
