"""RNNsearch against a loop of torch's layers with the same weights: logits and all gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.gru import GRU
from nets.seq2seq import Bahdanau

torch = pytest.importorskip("torch")

H, E, A, R, V = 4, 3, 5, 2, 6
RNG = np.random.default_rng(0)
X, Y = RNG.integers(1, V, (3, 5)), RNG.integers(1, V, (3, 4))


class Theirs(torch.nn.Module):
    def __init__(self):
        super().__init__()
        kinds = {"dtype": torch.float64}
        self.source = torch.nn.Embedding(V, E, **kinds)
        self.target = torch.nn.Embedding(V, E, **kinds)
        self.encoder = torch.nn.GRU(E, H, bidirectional=True, batch_first=True, **kinds)
        self.decoder = torch.nn.GRUCell(E + 2 * H, H, **kinds)
        self.initial = torch.nn.Linear(H, H, **kinds)
        self.query = torch.nn.Linear(H, A, bias=False, **kinds)
        self.key = torch.nn.Linear(2 * H, A, bias=False, **kinds)
        self.v = torch.nn.Linear(A, 1, bias=False, **kinds)
        self.state_out = torch.nn.Linear(H, 2 * R, **kinds)
        self.symbol_out = torch.nn.Linear(E, 2 * R, bias=False, **kinds)
        self.context_out = torch.nn.Linear(2 * H, 2 * R, bias=False, **kinds)
        self.output = torch.nn.Linear(R, V, **kinds)

    def forward(self, inputs, targets):
        memory, last = self.encoder(self.source(inputs))
        h, logits = torch.tanh(self.initial(last[1])), []
        for symbols in torch.nn.functional.pad(targets[:, :-1], (1, 0)).T:
            y = self.target(symbols)
            scores = self.v(torch.tanh(self.query(h)[:, None] + self.key(memory)))
            context = (scores.softmax(1) * memory).sum(1)
            h = self.decoder(torch.cat([y, context], -1), h)
            t = self.state_out(h) + self.symbol_out(y) + self.context_out(context)
            logits.append(self.output(t.unflatten(-1, (R, 2)).amax(-1)))
        return torch.stack(logits, 1)


def tree(named):
    """Flax's tree of torch's tensors, or of their gradients: torch's second biases of a GRU's first
    two gates are zero, and have the gradients of the first."""

    def gru(name, end=""):
        def get(part):
            return named[f"{name}.{part}{end}"].numpy()

        return {
            "kernel": get("weight_ih").T,
            "recurrent_kernel": get("weight_hh").T,
            "bias": get("bias_ih"),
            "recurrent_bias": get("bias_hh")[2 * H :],
        }

    def linear(name):
        biased = {"bias": named[f"{name}.bias"].numpy()} if f"{name}.bias" in named else {}
        return {"kernel": named[f"{name}.weight"].numpy().T} | biased

    outside = ("initial", "state_out", "symbol_out", "context_out", "output")
    return {
        **{name: {"embedding": named[f"{name}.weight"].numpy()} for name in ("source", "target")},
        **{name: linear(name) for name in outside},
        "encoder": {
            "layer_0": gru("encoder", "_l0"),
            "layer_0_reverse": gru("encoder", "_l0_reverse"),
        },
        "decoder": gru("decoder"),
        "attend": {
            "score": {"query": linear("query"), "key": linear("key")}
            | {"v": named["v.weight"].numpy().T}
        },
    }


def test_logits_and_gradients_are_torchs():
    torch.manual_seed(0)
    theirs = Theirs()
    for name, parameter in theirs.named_parameters():
        if "bias_hh" in name:
            parameter.data[: 2 * H] = 0
    wanted = theirs(torch.tensor(X), torch.tensor(Y))
    torch.nn.functional.cross_entropy(wanted.reshape(-1, V), torch.tensor(Y).reshape(-1)).backward()
    params = tree({name: p.detach() for name, p in theirs.named_parameters()})
    expected = tree({name: p.grad for name, p in theirs.named_parameters()})
    with jax.enable_x64(True):
        kinds = {"dtype": jnp.float64, "param_dtype": jnp.float64}
        model = Bahdanau(V, V, GRU(H), embedding=E, hidden=A, readout=R, **kinds)

        def loss(params):
            logits = model.apply({"params": params}, X, Y, train=True)
            own = jnp.take_along_axis(jax.nn.log_softmax(logits), jnp.asarray(Y)[..., None], -1)
            return -own.mean(), logits

        grads, logits = jax.jit(jax.grad(loss, has_aux=True))(params)
    np.testing.assert_allclose(logits, wanted.detach(), rtol=1e-10)
    assert jax.tree.structure(grads) == jax.tree.structure(expected)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-14), grads, expected
    )
