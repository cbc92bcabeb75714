"""Translation with attention against a loop in torch, on the same cores.

    python tests/benchmarks/attention.py [--repetitions=7] [--rows=memory]

One training step of RNNsearch (`nets.seq2seq.Bahdanau`, as in the experiment attention_multi30k),
and what it writes: the likeliest symbols, and the best of a beam of 5, as many as there are in the
sources. Then what attention adds to a training step of 50 symbols, and the rows of
transformer_rows.py and, of a memory, of ntm_rows.py. Every figure is the median of interleaved
repetitions in one process. Run it on an idle machine; it needs torch, and a C++ compiler for what
torch compiles.
"""

import argparse
import functools
import os

from nets.cli import process

process.tune()

import jax  # noqa: E402
import ntm_rows  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402
import torch  # noqa: E402
import transformer_rows  # noqa: E402
from timing import interleaved, show  # noqa: E402
from torch import nn  # noqa: E402

from nets.gru import GRU  # noqa: E402
from nets.layers.decoding import decode  # noqa: E402
from nets.seq2seq import Bahdanau  # noqa: E402
from nets.tasks.translate import Translate  # noqa: E402

UNITS, VOCABULARY = 256, 4000


class Theirs(nn.Module):
    """The same network as one writes it in torch, with its layers and a loop over the target."""

    def __init__(self):
        super().__init__()
        h, v = UNITS, VOCABULARY
        self.source, self.target = nn.Embedding(v, h), nn.Embedding(v, h)
        self.encoder = nn.GRU(h, h, bidirectional=True, batch_first=True)
        self.decoder, self.initial = nn.GRUCell(3 * h, h), nn.Linear(h, h)
        self.query, self.key = nn.Linear(h, h, bias=False), nn.Linear(2 * h, h, bias=False)
        self.v = nn.Linear(h, 1, bias=False)
        self.readout, self.output = nn.Linear(4 * h, 2 * h), nn.Linear(h, v)

    def start(self, inputs):
        memory, last = self.encoder(self.source(inputs))
        return memory, self.key(memory), torch.tanh(self.initial(last[1]))

    def advance(self, memory, keys, h, y):
        scores = self.v(torch.tanh(self.query(h)[:, None] + keys))[..., 0]
        context = torch.bmm(scores.softmax(-1)[:, None], memory)[:, 0]
        return self.decoder(torch.cat([y, context], -1), h), context

    def logits(self, h, y, context):
        t = self.readout(torch.cat([h, y, context], -1))
        return self.output(t.unflatten(-1, (-1, 2)).amax(-1))

    def forward(self, inputs, targets):
        memory, keys, h = self.start(inputs)
        y = self.target(nn.functional.pad(targets[:, :-1], (1, 0)))
        hs, contexts = [], []
        for t in range(targets.shape[1]):
            h, context = self.advance(memory, keys, h, y[:, t])
            hs.append(h)
            contexts.append(context)
        return self.logits(torch.stack(hs, 1), y, torch.stack(contexts, 1))

    @torch.no_grad()
    def greedy(self, inputs, length):
        memory, keys, h = self.start(inputs)
        last, written = torch.zeros(len(inputs), dtype=torch.long), []
        for _ in range(length):
            y = self.target(last)
            h, context = self.advance(memory, keys, h, y)
            last = self.logits(h, y, context)[:, 1:].argmax(-1) + 1  # never the end
            written.append(last)
        return torch.stack(written, 1)

    @torch.no_grad()
    def beam(self, inputs, length, beam):
        rows = len(inputs)
        memory, keys, h = (a.repeat_interleave(beam, 0) for a in self.start(inputs))
        last = torch.zeros(rows * beam, dtype=torch.long)
        alive = torch.full((rows, beam), -torch.inf)
        alive[:, 0] = 0
        written = torch.zeros(rows * beam, 0, dtype=torch.long)
        for _ in range(length):
            y = self.target(last)
            h, context = self.advance(memory, keys, h, y)
            logs = self.logits(h, y, context)[:, 1:].log_softmax(-1)
            total = (alive.reshape(-1, 1) + logs).reshape(rows, -1)
            alive, places = total.topk(beam, -1)
            parents = (places // logs.shape[-1] + torch.arange(rows)[:, None] * beam).reshape(-1)
            last = (places % logs.shape[-1]).reshape(-1) + 1
            h, written = h[parents], torch.cat([written[parents], last[:, None]], 1)
        return written


def symbols(rows, length):
    return np.random.default_rng(0).integers(1, VOCABULARY, (rows, length))


def model(attention=True):
    return Bahdanau(VOCABULARY, VOCABULARY, GRU(UNITS), attention=attention)


def our_step(rows, length, attention=True):
    ours, optimizer, ids = model(attention), optax.adam(1e-3), symbols(rows, length)
    params = jax.jit(functools.partial(ours.init, train=False))(jax.random.key(0), ids, ids)
    state = [params["params"], jax.jit(optimizer.init)(params["params"])]
    batch, task = {"inputs": ids, "targets": ids}, Translate()

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params, opt_state):
        grads, _ = jax.grad(
            lambda p: task.loss(ours, p, {}, batch, jax.random.key(0), True), has_aux=True
        )(params)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state

    def run():
        state[:] = step(*state)
        jax.block_until_ready(state)

    return run


def their_step(rows, length):
    theirs, ids = Theirs(), torch.tensor(symbols(rows, length))
    optimizer = torch.optim.Adam(theirs.parameters(), 1e-3)

    def run():
        optimizer.zero_grad()
        logits = theirs(ids, ids)
        nn.functional.cross_entropy(logits.reshape(-1, VOCABULARY), ids.reshape(-1)).backward()
        optimizer.step()

    return run


def our_search(rows, length, beam):
    ours, ids = model(), symbols(rows, length)
    params = jax.jit(functools.partial(ours.init, train=False))(jax.random.key(0), ids, ids)
    bias = params["params"]["output"]["bias"]
    params["params"]["output"]["bias"] = bias.at[0].set(-1e9)  # never the end
    search = jax.jit(lambda p, x: decode(ours, p, x, length, beam=beam))
    return lambda: jax.block_until_ready(search(params, ids))


def their_search(rows, length, beam):
    theirs, ids = Theirs(), torch.tensor(symbols(rows, length))
    if beam == 1:
        return lambda: theirs.greedy(ids, length)
    return lambda: theirs.beam(ids, length, beam)


def show_all(repetitions):
    rows, length = 64, 20
    runs = {"ours": our_step(rows, length), "torch": their_step(rows, length)}
    found = interleaved(runs, repetitions)
    rates = ", ".join(f"{n} {rows * length / t:,.0f} symbols/s" for n, t in found.items())
    show(f"training step, {rows} sentences of {length}", found, f"; {rates}")
    rows = 128
    for beam in (1, 5):
        runs = {"ours": our_search(rows, length, beam), "torch": their_search(rows, length, beam)}
        found = interleaved(runs, repetitions)
        rates = ", ".join(f"{n} {rows / t:,.0f} sentences/s" for n, t in found.items())
        show(f"writing, a beam of {beam}, {rows} sentences of {length}", found, f"; {rates}")
    rows, length = 64, 50
    runs = {"with": our_step(rows, length), "without": our_step(rows, length, attention=False)}
    found = interleaved(runs, repetitions)
    share = found["with"] / found["without"] - 1
    print(
        f"attention adds {share:.0%} to a training step of {length} symbols, "
        f"{1e3 * found['without']:.0f} ms without"
    )


PARTS = {
    "recurrent": show_all,
    "transformer": transformer_rows.show_all,
    "memory": ntm_rows.show_all,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--rows", choices=PARTS, nargs="*", default=[*PARTS])
    options = parser.parse_args()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    print(
        f"{len(os.sched_getaffinity(0))} cores, jax {jax.__version__}, torch {torch.__version__}; "
        "milliseconds, in brackets torch's time over ours (above 1: ours is faster)"
    )
    for part in options.rows:
        PARTS[part](options.repetitions)


if __name__ == "__main__":
    main()
