"""Recurrent layers against torch.nn and flax's nn.RNN on the same cores.

    python tests/benchmarks/recurrent.py [--devices=2] [--rows=0,1,2,3] [--cells=lstm,gru,rnn]

One training step of embedding, recurrent layers, softmax and Adam; the layers' forward pass alone;
and one streaming step. Every figure is the median of interleaved repetitions in one process.
"peak" is a large matmul's speed in this run, and "floor" the time that the step's matmuls take at
it. "split" is ours with the batch over that many devices of the host, as JAX_NUM_CPU_DEVICES gives
them to launch.py; flax's, which is slower so, has one. Run it on an idle machine; it needs torch.
"""

import argparse
import os
import sys

parser = argparse.ArgumentParser()
parser.add_argument("--devices", type=int, default=2)
parser.add_argument("--rows", default="0,1,2,3")
parser.add_argument("--cells", default="lstm,gru,rnn")
parser.add_argument("--repetitions", type=int, default=9)
options = parser.parse_args()

from nets.cli import process  # noqa: E402

process.tune()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402
import torch  # noqa: E402
from flax import linen as nn  # noqa: E402
from jax.sharding import Mesh, NamedSharding, PartitionSpec  # noqa: E402
from timing import interleaved, peak, show  # noqa: E402

from nets.elman import Elman  # noqa: E402
from nets.gru import GRU  # noqa: E402
from nets.layers.recurrent import Recurrent  # noqa: E402
from nets.lstm import LSTM  # noqa: E402

jax.config.update("jax_num_cpu_devices", options.devices)

ROWS = (  # batch, T, hidden, layers, vocabulary
    (32, 64, 128, 1, 65),
    (32, 64, 256, 2, 65),
    (50, 50, 512, 2, 65),
    (20, 35, 650, 2, 10_000),
)
OURS = {"lstm": LSTM, "gru": GRU, "rnn": Elman}
FLAX = {"lstm": nn.OptimizedLSTMCell, "gru": nn.GRUCell, "rnn": nn.SimpleCell}
TORCH = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}
GATES = {"lstm": 4, "gru": 3, "rnn": 1}


class Model(nn.Module):
    """Embedding, recurrent layers, and logits; `own` says whose layers."""

    own: bool
    cell: str
    hidden: int
    layers: int
    vocabulary: int

    @nn.compact
    def __call__(self, ids):
        x = nn.Embed(self.vocabulary, self.hidden)(ids)
        h = self.recur(x).reshape(-1, self.hidden)
        return nn.Dense(self.vocabulary)(h).reshape(*ids.shape, -1)

    @nn.compact
    def recur(self, x):
        if self.own:
            return Recurrent(OURS[self.cell](self.hidden), self.layers, name="r")(x)[0]
        for i in range(self.layers):
            x = nn.RNN(FLAX[self.cell](self.hidden, name=f"c{i}"))(x)
        return x


def jax_runs(own, cell, row, ids, devices=1):
    """Callables: a training step, and the forward pass of the layers."""
    _, _, hidden, layers, vocabulary = row
    mesh = Mesh(np.array(jax.devices()[:devices]), ("data",))
    rows, whole = (NamedSharding(mesh, PartitionSpec(*s)) for s in (("data",), ()))
    model, optimizer = Model(own, cell, hidden, layers, vocabulary), optax.adam(1e-3)
    ids = jax.device_put(ids, rows)
    params = jax.jit(model.init, out_shardings=whole)(jax.random.key(0), ids[:, :-1])
    state = [params, jax.jit(optimizer.init, out_shardings=whole)(params)]

    @jax.jit
    def step(params, opt_state, ids):
        def loss(params):
            logits = model.apply(params, ids[:, :-1])
            return optax.softmax_cross_entropy_with_integer_labels(logits, ids[:, 1:]).mean()

        value, grads = jax.value_and_grad(loss)(params)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, value

    donated = jax.jit(step, donate_argnums=(0, 1), out_shardings=(whole, whole, whole))
    x = jax.device_put(np.ones((*ids[:, 1:].shape, hidden), np.float32), rows)
    forward = jax.jit(lambda params, x: model.apply(params, x, method="recur"))

    def train():
        *state[:], value = donated(*state, ids)
        value.block_until_ready()

    return train, lambda: forward(state[0], x).block_until_ready()


def torch_runs(cell, row, ids):
    batch, length, hidden, layers, vocabulary = row
    embed, head = torch.nn.Embedding(vocabulary, hidden), torch.nn.Linear(hidden, vocabulary)
    net = TORCH[cell](hidden, hidden, layers, batch_first=True)
    parts = torch.nn.ModuleList([embed, net, head])
    optimizer = torch.optim.Adam(parts.parameters(), 1e-3)
    given, target = torch.tensor(ids[:, :-1]), torch.tensor(ids[:, 1:])
    x = torch.ones(batch, length, hidden)

    def train():
        optimizer.zero_grad()
        logits = head(net(embed(given))[0]).reshape(-1, vocabulary)
        torch.nn.functional.cross_entropy(logits, target.reshape(-1)).backward()
        optimizer.step()

    @torch.no_grad()
    def forward():
        net(x)

    return train, forward


def stream_runs(cell, row):
    """One step of a stream, batch 1: ours and torch's."""
    _, _, hidden, layers, _ = row
    layer = Recurrent(OURS[cell](hidden), layers)
    x = jnp.ones((1, hidden))
    params = layer.init(jax.random.key(0), x[:, None])
    step = jax.jit(lambda params, carry, x: layer.apply(params, carry, x, method="step"))
    carry = layer.initial_carry((1, hidden))
    net, given = TORCH[cell](hidden, hidden, layers, batch_first=True), torch.ones(1, 1, hidden)

    @torch.no_grad()
    def theirs():
        net(given)

    return {"ours": lambda: jax.block_until_ready(step(params, carry, x)), "torch": theirs}


def multiply_adds(cell, row):
    batch, length, hidden, layers, vocabulary = row
    recurrent = layers * GATES[cell] * 2 * hidden * hidden
    return batch * length * recurrent, batch * length * (recurrent + hidden * vocabulary)


def main():
    torch.set_num_threads(os.cpu_count())
    speed, rng = peak(), np.random.default_rng(0)
    print(
        f"{os.cpu_count()} cores, {jax.device_count()} device(s), jax {jax.__version__}, "
        f"torch {torch.__version__}, peak {2e-9 * speed:.0f} GFLOP/s"
    )
    print("milliseconds; in brackets torch's and flax's time over ours (above 1: ours is faster)")
    for index in map(int, options.rows.split(",")):
        row = ROWS[index]
        ids = rng.integers(0, row[4], (row[0], row[1] + 1))
        for cell in options.cells.split(","):
            runs = {
                "ours": jax_runs(True, cell, row, ids),
                "split": jax_runs(True, cell, row, ids, options.devices),
                "torch": torch_runs(cell, row, ids),
                "flax": jax_runs(False, cell, row, ids),
            }
            floors = multiply_adds(cell, row)
            for i, (what, floor) in enumerate((("train", 3 * floors[1]), ("forward", floors[0]))):
                found = interleaved({n: r[i] for n, r in runs.items()}, options.repetitions)
                split = {"ours": found.pop("split")} | {n: found[n] for n in ("torch", "flax")}
                show(f"{row} {cell} {what}", found, f", floor {1e3 * floor / speed:.1f}")
                show(f"{row} {cell} {what}, split", split)
            show(f"{row} {cell} one step of a stream", interleaved(stream_runs(cell, row), 51))


if __name__ == "__main__":
    sys.exit(main())
