import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from nets.mlp import MLP


def test_equals_numpy():
    model = MLP(widths=(7, 5), num_classes=3, activation=nn.tanh)
    rng = np.random.default_rng(0)
    layers = {"hidden_0": (12, 7), "hidden_1": (7, 5), "output": (5, 3)}
    params = {
        name: {"kernel": rng.normal(size=shape), "bias": rng.normal(size=shape[1])}
        for name, shape in layers.items()
    }
    x = rng.normal(size=(4, 2, 3, 2))
    logits, stages = model.apply({"params": params}, x, train=False, stages=True)

    expected = x.reshape(4, 12)
    for name in ("hidden_0", "hidden_1"):
        expected = np.tanh(expected @ params[name]["kernel"] + params[name]["bias"])
        np.testing.assert_allclose(stages[name], expected, rtol=1e-5, atol=1e-6)
    expected = expected @ params["output"]["kernel"] + params["output"]["bias"]
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)
    assert list(stages) == ["hidden_0", "hidden_1"]


def test_batch_normalisation_comes_before_the_activation():
    model = MLP(widths=(5,), num_classes=3, batch_norm=True)
    x = np.random.default_rng(0).normal(size=(8, 4))
    variables = model.init(jax.random.key(0), x, train=False)
    options = {"train": True, "stages": True, "mutable": ["batch_stats"]}
    (_, stages), _ = model.apply(variables, x, **options)
    dense = variables["params"]["hidden_0"]
    z = x @ np.asarray(dense["kernel"]) + np.asarray(dense["bias"])
    expected = np.maximum((z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5), 0)
    np.testing.assert_allclose(stages["hidden_0"], expected, rtol=1e-4, atol=1e-4)


def test_parameters():
    x = jnp.zeros((1, 28, 28, 1))
    for widths, count in (
        ((300, 100), 784 * 300 + 300 + 300 * 100 + 100 + 100 * 10 + 10),
        ((), 7850),
    ):
        model = MLP(widths=widths)
        shapes = jax.eval_shape(lambda m=model: m.init(jax.random.key(0), x, train=False))
        assert sum(a.size for a in jax.tree.leaves(shapes)) == count


def test_dropout_acts_on_hidden_units_while_training():
    model = MLP(widths=(4096,), num_classes=1, dropout=0.25, activation=lambda x: x)
    x = jnp.ones((1, 1))
    kernel = jnp.ones((1, 4096))
    params = {
        "hidden_0": {"kernel": kernel, "bias": jnp.zeros(4096)},
        "output": {"kernel": kernel.T, "bias": jnp.zeros(1)},
    }
    assert model.apply({"params": params}, x, train=False) == 4096
    kept = model.apply({"params": params}, x, train=True, rngs={"dropout": jax.random.key(0)})
    kept = float(kept[0, 0]) * 0.75  # survivors are scaled by 1 / 0.75
    assert abs(kept - round(kept)) < 0.01
    assert 0.5 < abs(kept - 3072) < 5 * (3072 * 0.25) ** 0.5


def test_types():
    model = MLP(dtype=jnp.bfloat16)
    x = jnp.zeros((2, 8, 8, 1))
    variables = jax.eval_shape(lambda: model.init(jax.random.key(0), x, train=False))
    assert {a.dtype for a in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    logits, stages = jax.eval_shape(
        lambda v: model.apply(v, x, train=False, stages=True), variables
    )
    assert logits.dtype == jnp.float32 and stages["hidden_0"].dtype == jnp.bfloat16
