"""The rows of attention.py for the Transformer, beside torch.nn.Transformer and its layers.

Networks have the same parts and sizes, the tanh form of GELU, and no dropout. torch has no cache of
keys and values: a loop here keeps them, with the layers' own weights.
"""

import functools

import jax
import numpy as np
import optax
import torch
from timing import interleaved, show
from torch import nn
from torch.nn import functional as F

from nets.layers.decoding import generate
from nets.tasks.next_token import NextToken
from nets.tasks.translate import Translate
from nets.transformer import Transformer, TransformerLM

GELU = functools.partial(F.gelu, approximate="tanh")
FEATURES, HEADS, LAYERS, CONTEXT, CHARACTERS = 128, 4, 4, 128, 65
SUBWORDS = 4000


class TheirLM(nn.Module):
    """The language model of torch's layers."""

    def __init__(self):
        super().__init__()
        d = FEATURES
        self.symbols, self.positions = nn.Embedding(CHARACTERS, d), nn.Embedding(CONTEXT, d)
        layer = nn.TransformerEncoderLayer(
            d, HEADS, 4 * d, 0.0, GELU, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(
            layer, LAYERS, nn.LayerNorm(d), enable_nested_tensor=False
        )
        self.register_buffer("ahead", nn.Transformer.generate_square_subsequent_mask(CONTEXT))

    def forward(self, ids):
        n = ids.shape[1]
        x = self.symbols(ids) + self.positions.weight[:n]
        y = self.layers(x, mask=self.ahead[:n, :n], is_causal=True)
        return y @ self.symbols.weight.T

    @torch.no_grad()
    def write(self, ids, length):
        caches, written = [None] * LAYERS, []
        for t in range(length):
            x = self.symbols(ids) + self.positions.weight[t]
            for i, layer in enumerate(self.layers.layers):
                x, caches[i] = self._step(layer, x, caches[i])
            ids = (self.layers.norm(x) @ self.symbols.weight.T).argmax(-1)
            written.append(ids)
        return torch.stack(written, 1)

    def _step(self, layer, x, cache):
        attention = layer.self_attn
        parts = F.linear(layer.norm1(x), attention.in_proj_weight, attention.in_proj_bias)
        q, k, v = (a.unflatten(-1, (HEADS, 1, -1)) for a in parts.chunk(3, -1))  # [N, heads, 1, F]
        if cache is not None:
            k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
        y = F.scaled_dot_product_attention(q, k, v).flatten(1)
        x = x + attention.out_proj(y)
        return x + layer.linear2(GELU(layer.linear1(layer.norm2(x)))), (k, v)


class TheirTranslator(nn.Module):
    """torch.nn.Transformer with one table of vectors."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(SUBWORDS, 256)
        self.body = nn.Transformer(256, 4, 3, 3, 512, 0.0, batch_first=True, norm_first=True)

    def forward(self, inputs, targets):
        before = F.pad(targets[:, :-1], (1, 0))
        ahead = self.body.generate_square_subsequent_mask(targets.shape[1])
        y = self.body(self.table(inputs), self.table(before), tgt_mask=ahead, tgt_is_causal=True)
        return y @ self.table.weight.T


def symbols(rows, length, size):
    return np.random.default_rng(0).integers(1, size, (rows, length))


def our_step(model, task, batch):
    params, state = jax.jit(functools.partial(task.init, model))(jax.random.key(0), batch)
    optimizer = optax.adam(1e-3)
    held = [params, jax.jit(optimizer.init)(params)]

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params, opt_state):
        def loss(params):
            return task.loss(model, params, state, batch, jax.random.key(0), True)[0]

        updates, opt_state = optimizer.update(jax.grad(loss)(params), opt_state)
        return optax.apply_updates(params, updates), opt_state

    def run():
        held[:] = step(*held)
        jax.block_until_ready(held)

    return run


def their_step(model, arguments, targets):
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    arguments = [torch.tensor(a) for a in arguments]
    targets = torch.tensor(targets).reshape(-1)

    def run():
        optimizer.zero_grad()
        logits = model(*arguments)
        F.cross_entropy(logits.reshape(len(targets), -1), targets).backward()
        optimizer.step()

    return run


def show_all(repetitions):
    model = TransformerLM(CHARACTERS, FEATURES, HEADS, LAYERS, context=CONTEXT)
    rows, length = 16, CONTEXT
    ids = symbols(rows, length, CHARACTERS)
    batch = {"inputs": ids, "targets": ids, "reset": np.ones(rows, bool)}
    runs = {
        "ours": our_step(model, NextToken(), batch),
        "torch": their_step(TheirLM(), [ids], ids),
    }
    found = interleaved(runs, repetitions)
    rates = ", ".join(f"{n} {rows * length / t:,.0f} symbols/s" for n, t in found.items())
    show(f"Transformer, training step of {rows} rows of {length}", found, f"; {rates}")

    params = jax.jit(functools.partial(model.init, train=False))(jax.random.key(0), ids)
    draw = jax.jit(functools.partial(generate, model, length=length - 1, temperature=0.0))
    theirs = TheirLM().eval()
    for rows in (1, 64):
        first = symbols(rows, 1, CHARACTERS)
        runs = {
            "ours": lambda first=first: draw(params, jax.random.key(0), first).block_until_ready(),
            "torch": lambda first=first: theirs.write(torch.tensor(first[:, 0]), length - 1),
        }
        found = interleaved(runs, repetitions)
        rates = ", ".join(f"{n} {rows * (length - 1) / t:,.0f} symbols/s" for n, t in found.items())
        show(f"Transformer, {rows} rows of {length - 1} written", found, f"; {rates}")

    rows, length = 64, 20
    ids = symbols(rows, length, SUBWORDS)
    model = Transformer(SUBWORDS, SUBWORDS, 256, 4, 3, 512, norm="pre", share=True, context=length)
    runs = {
        "ours": our_step(model, Translate(), {"inputs": ids, "targets": ids}),
        "torch": their_step(TheirTranslator(), [ids, ids], ids),
    }
    found = interleaved(runs, repetitions)
    rates = ", ".join(f"{n} {rows * length / t:,.0f} symbols/s" for n, t in found.items())
    show(f"Transformer, training step of {rows} sentences of {length}", found, f"; {rates}")
