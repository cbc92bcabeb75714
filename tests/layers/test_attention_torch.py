"""Scaled dot and multi-head attention against torch's, forwards and backwards, in float64."""

import jax
import numpy as np
import pytest

from nets.interop.torch import attention_from_torch, attention_to_torch
from nets.layers.attention import attend
from nets.layers.attention_multi_head import MultiHeadAttention
from nets.layers.attention_scores import dot
from tests.support.checks import assert_close, jit
from tests.support.plain_attention import BATCH, KEYS, MASK, QUERIES, random_inputs

torch = pytest.importorskip("torch")


def tensors(*arrays):
    return [torch.tensor(a, requires_grad=True) for a in arrays]


@pytest.mark.parametrize("mask", ["none", "keys", "each", "causal"])
def test_scaled_dot_equals_torch(mask):
    rng = np.random.default_rng(0)
    arrays, towards = random_inputs(rng, 4, 4), rng.normal(size=(BATCH, QUERIES, 2))
    each = rng.random((BATCH, QUERIES, KEYS)) < 0.6
    each[..., 0] = True  # torch gives NaN, or other numbers, for a row of no key
    ours = {"none": None, "keys": MASK, "each": each}.get(mask, np.tri(QUERIES, KEYS) > 0)
    if mask == "causal":
        ours = np.repeat(ours[None], BATCH, 0)
    theirs = torch.tensor(np.repeat(MASK[:, None], QUERIES, 1) if mask == "keys" else each)

    def with_slopes(*arrays):

        def run(q, k, v):
            return attend(dot(q, k, scaled=True), v, ours)[0]

        y, pullback = jax.vjp(run, *arrays)
        return y, pullback(towards)

    with jax.enable_x64(True):
        y, slopes = jit(with_slopes)(*arrays)
    inputs = tensors(*arrays)
    want = torch.nn.functional.scaled_dot_product_attention(
        *inputs, attn_mask=theirs if mask in {"keys", "each"} else None, is_causal=mask == "causal"
    )
    want.backward(torch.tensor(towards))
    assert_close((y, *slopes), (want.detach().numpy(), *(t.grad.numpy() for t in inputs)))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kind", ["self", "causal", "cross", "wide"])
def test_multi_head_equals_torch(kind, bias):
    """A memory of the queries' width, whose kernels torch has in one, and of another."""
    rng, (width, causal) = np.random.default_rng(0), (5 if kind == "wide" else 6, kind == "causal")
    module = torch.nn.MultiheadAttention(
        6, 3, bias=bias, kdim=width, vdim=width, batch_first=True, dtype=torch.float64
    )
    with torch.no_grad():
        for p in module.parameters():  # biases too, which are zeros at first
            p.copy_(torch.tensor(rng.normal(size=p.shape)))
    x, towards = rng.normal(size=(BATCH, KEYS, 6)), rng.normal(size=(BATCH, KEYS, 6))
    memory = rng.normal(size=(BATCH, KEYS, width)) if kind in {"cross", "wide"} else None
    model = MultiHeadAttention(6, 3, causal=causal, use_bias=bias, dtype=None)
    params = attention_from_torch(module.state_dict(), 6)
    arrays = (x,) if memory is None else (x, memory)

    def with_slopes(params, *arrays):

        def run(p, x, m=None):
            return model.apply({"params": p}, x, m, MASK)

        y, pullback, weights = jax.vjp(run, params, *arrays, has_aux=True)
        return y, weights, pullback(towards)

    with jax.enable_x64(True):
        y, weights, (by_params, *slopes) = jit(with_slopes)(params, *arrays)
    inputs = tensors(*arrays)
    ahead = torch.tensor(~np.tri(KEYS, dtype=bool)) if causal else None
    want, mixed = module(
        inputs[0],
        inputs[-1],
        inputs[-1],
        key_padding_mask=torch.tensor(~MASK),
        attn_mask=ahead,
        average_attn_weights=False,
    )
    want.backward(torch.tensor(towards))
    assert_close(y, want.detach().numpy())
    assert_close(weights, mixed.detach().numpy())
    assert_close(slopes, [t.grad.numpy() for t in inputs])
    theirs = {name: p.grad for name, p in module.named_parameters()}
    assert_close(by_params, attention_from_torch(theirs, 6))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("width", [5, 6])
def test_torch_loads_what_it_is_given(width, bias):
    """Back and forth changes nothing; the names are those of the module, after a prefix."""
    options = {"bias": bias, "kdim": width, "vdim": width}
    module = torch.nn.MultiheadAttention(6, 2, **options)
    params = attention_from_torch({"a.b": 0, **module.state_dict(prefix="c.")}, 6, prefix="c.")
    back = attention_to_torch(params)
    other = torch.nn.MultiheadAttention(6, 2, **options)
    other.load_state_dict({name: torch.from_numpy(a) for name, a in back.items()})
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])
    assert {f"c.{name}" for name in back} == set(attention_to_torch(params, prefix="c."))
    with torch.no_grad():
        module.out_proj.weight.zero_()
    assert params["out"]["kernel"].any()  # a copy


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"add_bias_kv": True}, ("bias_k", "bias_v")),
        ({"kdim": 5, "vdim": 4}, ("v_proj_weight",)),
    ],
)
def test_what_torch_has_beside_is_refused(options, names):
    module = torch.nn.MultiheadAttention(6, 2, **options)
    with pytest.raises(ValueError, match="MultiHeadAttention") as refusal:
        attention_from_torch(module.state_dict(), 6)
    lines = str(refusal.value).splitlines()[2:]
    assert tuple(line.split()[0] for line in lines) == names


def test_missing_parameters_are_refused():
    with pytest.raises(ValueError, match=r"key/kernel +\[any, 6\] +nothing"):
        attention_to_torch(
            {"query": {"kernel": np.ones((6, 6))}, "out": {"kernel": np.ones((6, 6))}}
        )
