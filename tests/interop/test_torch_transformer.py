"""Layers, encoders and decoders against torch's with the same weights, in float64, both ways."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from nets.interop.torch import transformer_from_torch, transformer_to_torch
from nets.layers.transformer_layer import TransformerLayer, TransformerStack
from tests.support.checks import assert_close, jit

torch = pytest.importorskip("torch")

D, HEADS, HIDDEN = 6, 3, 7
RNG = np.random.default_rng(0)
X, MEMORY, TOWARDS = (
    RNG.normal(size=(2, 4, D)),
    RNG.normal(size=(2, 5, D)),
    RNG.normal(size=(2, 4, D)),
)
MASK = np.array([[True] * 5, [True, True, True, False, False]])
ACTIVATIONS = {"relu": nn.relu, "gelu": functools.partial(nn.gelu, approximate=False)}


def theirs(kind, norm_first, activation="relu", bias=True, final=True):
    """torch's encoder or decoder with random weights."""
    of = {"encoder": torch.nn.TransformerEncoder, "decoder": torch.nn.TransformerDecoder}[kind]
    layer = {
        "encoder": torch.nn.TransformerEncoderLayer,
        "decoder": torch.nn.TransformerDecoderLayer,
    }[kind]
    options = {"batch_first": True, "norm_first": norm_first, "bias": bias, "dtype": torch.float64}
    block = layer(D, HEADS, HIDDEN, 0.0, activation, **options)
    norm = torch.nn.LayerNorm(D, bias=bias, dtype=torch.float64) if final else None
    extra = {"enable_nested_tensor": False} if kind == "encoder" else {}
    module = of(block, 2, norm, **extra)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.tensor(RNG.normal(size=p.shape)))
    return module


def ours(kind, norm_first, activation="relu", bias=True, final=True, dtype=jnp.float32):
    decoder = kind == "decoder"
    block = TransformerLayer(
        D, HEADS, HIDDEN, causal=decoder, cross=decoder, norm="pre" if norm_first else "post",
        activation=ACTIVATIONS[activation], use_bias=bias, dtype=dtype,
        param_dtype=dtype,
    )  # fmt: skip
    return TransformerStack(block, 2, final)


@pytest.mark.parametrize(
    ("norm_first", "activation", "bias", "final"),
    [(False, "relu", True, False), (True, "gelu", True, True), (True, "relu", False, True)],
)
@pytest.mark.parametrize("kind", ["encoder", "decoder"])
def test_stacks_equal_torch(kind, norm_first, activation, bias, final):
    """Outputs, and gradients by the inputs and by every weight; the second row is padded."""
    module = theirs(kind, norm_first, activation, bias, final=final)
    params = transformer_from_torch(module.state_dict(), D)

    def run(params, x, memory):
        model = ours(kind, norm_first, activation, bias, final, jnp.float64)
        if kind == "encoder":
            return model.apply({"params": params}, memory, MASK)[0][:, :4]
        given = model.apply({"params": params}, memory, MASK, method="project")
        return model.apply({"params": params}, x, None, given)[0]

    def with_slopes(*arguments):
        y, pullback = jax.vjp(run, *arguments)
        return y, pullback(TOWARDS)

    with jax.enable_x64(True):
        y, (by_params, by_x, by_memory) = jit(with_slopes)(params, X, MEMORY)
    x, memory = (torch.tensor(a, requires_grad=True) for a in (X, MEMORY))
    padding = torch.tensor(~MASK)
    if kind == "encoder":
        want = module(memory, src_key_padding_mask=padding)[:, :4]
        valid = MASK[:, :4, None]  # what torch gives at padding is its own affair
    else:
        ahead = torch.tensor(~np.tri(4, dtype=bool))
        want = module(x, memory, tgt_mask=ahead, memory_key_padding_mask=padding)
        valid = np.ones((2, 4, 1), bool)
    want.backward(torch.tensor(TOWARDS))
    assert_close(np.where(valid, y, 0), np.where(valid, want.detach().numpy(), 0), 1e-9)
    assert_close(by_memory, memory.grad.numpy(), 1e-9)
    if kind == "decoder":
        assert_close(by_x, x.grad.numpy(), 1e-9)
    grads = {name: p.grad for name, p in module.named_parameters()}
    assert_close(by_params, transformer_from_torch(grads, D), 1e-9)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", ["encoder", "decoder"])
def test_torch_loads_what_it_is_given(kind, bias):
    """Back and forth changes nothing, of all and of one layer; the tree is that of our module."""
    module = theirs(kind, False, bias=bias)
    params = transformer_from_torch({"other": 0, **module.state_dict(prefix="a.")}, D, prefix="a.")
    model, x = ours(kind, False, bias=bias), jnp.ones((1, 2, D))

    def init():
        if kind == "encoder":
            return model.init(jax.random.key(0), x)
        return model.init(jax.random.key(0), x, method=_both)

    shapes = jax.eval_shape(init)["params"]
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(lambda a: a.shape, shapes)
    back = transformer_to_torch(params)
    assert {f"a.{name}" for name in back} == set(transformer_to_torch(params, prefix="a."))
    other = theirs(kind, False, bias=bias)
    other.load_state_dict({name: torch.from_numpy(a) for name, a in back.items()})
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])
    layer = module.layers[1]
    one = transformer_from_torch(layer.state_dict(), D)
    jax.tree.map(np.testing.assert_array_equal, one, params["layer_1"])
    assert set(transformer_to_torch(one)) == set(layer.state_dict())


def _both(model, x):
    return model(x, None, model.project(x, jnp.ones(x.shape[:2], bool)))


def test_the_two_parts_of_a_whole_transformer():
    module = torch.nn.Transformer(D, 2, 1, 2, HIDDEN, 0.0, batch_first=True)
    state = module.state_dict()
    encoder, decoder = (
        transformer_from_torch(state, D, prefix=f"{k}.") for k in ("encoder", "decoder")
    )
    assert set(encoder) == {"layer_0", "norm"} and set(decoder) == {"layer_0", "layer_1", "norm"}
    assert "cross_attention" in decoder["layer_1"] and "cross_attention" not in encoder["layer_0"]


def test_what_is_not_such_a_module_is_refused():
    state = theirs("encoder", False).state_dict()
    with pytest.raises(ValueError, match=r"layers.1.linear1.bias +\[7\] +nothing"):
        transformer_from_torch({k: v for k, v in state.items() if k != "layers.1.linear1.bias"}, D)
    with pytest.raises(ValueError, match=r"^these are not .* of 5 features"):
        transformer_from_torch(state, 5)
    with pytest.raises(ValueError, match=r"more +nothing +\[2\]"):
        transformer_from_torch(state | {"more": np.zeros(2)}, D)
    with pytest.raises(TypeError, match="features must be an int, got the class Dense"):
        transformer_from_torch(state, nn.Dense)
    with pytest.raises(TypeError, match="state_dict must be a mapping"):
        transformer_from_torch(D, state)
    with pytest.raises(
        ValueError, match="a Transformer layer has the parts attention, .* got none"
    ):
        transformer_to_torch({})
