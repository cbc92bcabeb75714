"""The decoders against the same equations in torch, with the same weights."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.caption import ShowAndTell, ShowAttendTell
from nets.convnet import ConvNet
from nets.interop.torch import recurrent_to_torch
from nets.lstm import LSTM

torch = pytest.importorskip("torch")
EYES = ConvNet(widths=(3, 4), windows=(3, 3), num_classes=0)
IMAGES = jax.random.normal(jax.random.key(1), (2, 8, 8, 3))
CAPTIONS = np.array([[3, 1, 4, 0], [8, 5, 7, 6]])
WORDS = torch.tensor(np.pad(CAPTIONS[:, :-1], ((0, 0), (1, 0))))


def trained(model):
    """Parameters, none of which is zero, logits and stages, and the backbone's; for torch."""
    init = functools.partial(model.init, train=False)
    shapes = jax.eval_shape(init, jax.random.key(0), IMAGES, CAPTIONS)
    rng = np.random.default_rng(0)

    def draw(s):
        return (rng.uniform(0.3, 0.9, s.shape) * rng.choice([-1, 1], s.shape)).astype(np.float32)

    params = jax.tree.map(draw, shapes["params"])
    variables = {
        "params": params,
        "batch_stats": jax.tree.map(jnp.ones_like, shapes["batch_stats"]),
    }
    y, stages = model.apply(variables, IMAGES, CAPTIONS, train=False, stages=True)
    eyes = {k: v["backbone"] for k, v in variables.items()}
    _, seen = EYES.apply(eyes, IMAGES, train=False, stages=True)
    return (
        jax.tree.map(lambda a: torch.tensor(np.array(a)), params),
        y,
        stages,
        {k: torch.tensor(np.array(a)) for k, a in seen.items()},
    )


def dense(p, x):
    return x @ p["kernel"] + p.get("bias", 0)


def assert_same(ours, theirs):
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-5, atol=1e-5)


def test_show_attend_and_tell_equals_torch():
    model = ShowAttendTell(EYES, "conv2", features=6, embedding=5, hidden=7, vocab_size=9)
    p, y, stages, seen = trained(model)
    a = seen["conv2"].reshape(2, 16, 4)
    cell = torch.nn.LSTMCell(5 + 4, 6)
    with torch.no_grad():
        cell.weight_ih.copy_(p["cell"]["kernel"].T)
        cell.weight_hh.copy_(p["cell"]["recurrent_kernel"].T)
        cell.bias_ih.copy_(p["cell"]["bias"])
        cell.bias_hh.zero_()
    mean = a.mean(1)
    c, h = (torch.tanh(dense(p[name], mean)) for name in ("initial_c", "initial_h"))
    for t in range(4):
        e = p["embed"]["embedding"][WORDS[:, t]]
        query = dense(p["score"]["query"], h)[:, None]
        scores = torch.tanh(query + dense(p["score"]["key"], a)) @ p["score"]["v"]
        alpha = torch.softmax(scores[..., 0], -1)
        z = torch.sigmoid(dense(p["gate"], h)) * (alpha[..., None] * a).sum(1)
        h, c = cell(torch.cat([e, z], -1), (h, c))
        logits = dense(p["output"], e + dense(p["state_out"], h) + dense(p["context_out"], z))
        assert_same(stages["weights"][:, t], alpha)
        assert_same(y[:, t], logits)


def test_show_and_tell_equals_torch():
    model = ShowAndTell(EYES, features=6, embedding=5, vocab_size=9)
    p, y, _, seen = trained(model)
    lstm = torch.nn.LSTM(5, 6, batch_first=True)
    theirs = recurrent_to_torch(p["decoder"], LSTM(6))
    lstm.load_state_dict({k: torch.tensor(a) for k, a in theirs.items()})
    image = dense(p["image"], seen["features"])[:, None]
    h, _ = lstm(torch.cat([image, p["embed"]["embedding"][WORDS]], 1))
    assert_same(y, dense(p["output"], h[:, 1:]))
