import jax
import jax.numpy as jnp
import numpy as np

from nets.layers.conv_table import TableConv, fan_in_uniform


def test_table_conv_connects_what_the_table_says():
    model = TableConv(3, table=((0, 2), (1,), (0, 1, 2, 3)), stride=2, unit_biases=True)
    x = jax.random.normal(jax.random.key(1), (1, 9, 7, 4))
    variables = jax.jit(model.init)(jax.random.key(0), x)
    shapes = jax.tree.map(jnp.shape, variables["params"])
    assert shapes == {"kernel": (5, 5, 7), "bias": (3, 2, 3)}
    jacobian = jax.jit(jax.jacobian(lambda x: model.apply(variables, x)))(x)[0, :, :, :, 0]
    connected = np.any(np.asarray(jacobian) != 0, axis=(0, 1, 3, 4))  # [maps, input maps]
    np.testing.assert_array_equal(connected, [[1, 0, 1, 0], [0, 1, 0, 0], [1, 1, 1, 1]])


def test_fan_in_uniform_fills_its_range():
    fan_in = np.array([10, 100])
    draws = fan_in_uniform(fan_in)(jax.random.key(0), (50, 40, 2), jnp.float32)
    limit = 2.4 / fan_in
    assert np.all(np.abs(draws).max(axis=(0, 1)) <= limit)
    np.testing.assert_allclose(draws.max(axis=(0, 1)), limit, rtol=0.01)
    np.testing.assert_allclose(draws.min(axis=(0, 1)), -limit, rtol=0.01)
    np.testing.assert_allclose(draws.std(axis=(0, 1)), limit / 3**0.5, rtol=0.05)


def test_a_given_initialiser_counts_the_inputs_of_each_map():
    table = ((0, 1, 2, 3, 4, 5, 6, 7), (3,), (0, 2, 5, 7))
    model = TableConv(3, table=table, kernel_init=jax.nn.initializers.he_normal())
    init = jax.jit(jax.vmap(lambda key: model.init(key, jnp.zeros((1, 5, 5, 8)))))
    kernel = init(jax.random.split(jax.random.key(0), 200))["params"]["kernel"]
    variances = [part.var() for part in np.split(kernel, [8, 9], axis=-1)]
    np.testing.assert_allclose(variances, 2 / (25 * np.array([8, 1, 4])), rtol=0.06)
