"""Networks over sequences against torch twins, on the same cores; streams, block by block.

    python tests/benchmarks/sequences.py [--repetitions=7] [--rows=enhance,stream]

`enhance`: a training step of the enhancement experiments' LSTM and frame-wise network, from the
noisy sound to the loss and Adam, against twins written here, interleaved in one process. `stream`:
one block of a stream of one row, the median, and the real-time factor: the time of a block over its
duration. Run it on an idle machine; `enhance` needs torch.
"""

import argparse
import functools

parser = argparse.ArgumentParser()
parser.add_argument("--repetitions", type=int, default=7)
parser.add_argument("--rows", default="enhance,stream")
options = parser.parse_args()

from nets.cli import process  # noqa: E402

process.tune()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402
from timing import interleaved, show  # noqa: E402

from nets.elman import Elman  # noqa: E402
from nets.enhancement import Enhancer, RecurrentMask, SplicedMLP  # noqa: E402
from nets.lstm import LSTM  # noqa: E402
from nets.tasks.enhance import Enhance  # noqa: E402
from nets.transcriber import Transcriber  # noqa: E402

RATE, SAMPLES, BATCH, WINDOW, HOP = 8000, 16000, 16, 256, 128
NETWORKS = {
    "frame by frame": SplicedMLP((430, 430)),
    "features spliced": SplicedMLP((230, 230), features=3),
    "labels spliced": SplicedMLP((230, 230), labels=3),
    "both spliced": SplicedMLP((148, 148), features=3, labels=3),
    "simple recurrent": RecurrentMask(Elman(425)),
    "LSTM": RecurrentMask(LSTM(200)),
    "3 frames ahead": RecurrentMask(LSTM(126), bidirectional=True, lookahead=3),
}


def our_step(model, batch):
    """A training step with Adam, and the number of parameters."""
    task, optimizer, key = Enhance(stoi=False), optax.adam(1e-3), jax.random.key(0)
    params, _ = jax.jit(functools.partial(task.init, model))(key, batch)
    state = [params, jax.jit(optimizer.init)(params)]

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params, opt_state, batch):
        loss = functools.partial(task.loss, model, train=True)
        grads, _ = jax.grad(loss, has_aux=True)(params, {}, batch, key)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state

    def run():
        state[:] = step(*state, batch)
        jax.block_until_ready(state)

    return run, sum(p.size for p in jax.tree.leaves(params))


def their_step(kind, batch):
    """The same in torch: the short-time transform, the network, its inverse, the ratio, Adam."""
    import torch

    torch.manual_seed(0)
    noisy, clean = (torch.tensor(batch[k]) for k in ("inputs", "targets"))
    window, bins = torch.hann_window(WINDOW) ** 0.5, WINDOW // 2 + 1

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            if kind == "LSTM":
                self.recurrent = torch.nn.LSTM(bins, 200, batch_first=True)
                self.out = torch.nn.Linear(200, bins)
            else:
                widths = (bins, 430, 430)
                self.hidden = torch.nn.ModuleList(
                    torch.nn.Linear(*pair) for pair in zip(widths, widths[1:], strict=False)
                )
                self.out = torch.nn.Linear(430, bins)

        def forward(self, y):
            padded = torch.nn.functional.pad(y, (WINDOW - HOP, WINDOW))
            framed = padded.unfold(-1, WINDOW, HOP)[:, : -(-(SAMPLES + WINDOW - HOP) // HOP)]
            spectrum = torch.fft.rfft(framed * window)
            x = torch.log(spectrum.abs() + 1e-3) / 3
            if kind == "LSTM":
                x = self.recurrent(x)[0]
            else:
                for layer in self.hidden:
                    x = torch.relu(layer(x))
            framed = torch.fft.irfft(torch.sigmoid(self.out(x)) * spectrum, WINDOW) * window
            total = torch.nn.functional.fold(
                framed.transpose(1, 2), (1, (framed.shape[1] - 1) * HOP + WINDOW), (1, WINDOW),
                stride=(1, HOP),
            )  # fmt: skip
            return total[:, 0, 0, WINDOW - HOP :][:, :SAMPLES]

    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)

    def run():
        optimizer.zero_grad()
        out = net(noisy)
        scale = (out * clean).sum(-1, keepdim=True) / clean.square().sum(-1, keepdim=True)
        error = (scale * clean - out).square().sum(-1)
        loss = -10 * torch.log10((scale * clean).square().sum(-1) / error).mean()
        loss.backward()
        optimizer.step()

    return run, sum(p.numel() for p in net.parameters())


def enhance():
    rng = np.random.default_rng(0)
    clean, noise = 0.05 * rng.normal(size=(2, BATCH, SAMPLES)).astype(np.float32)
    batch = {"inputs": clean + noise, "targets": clean}
    for name in ("frame by frame", "LSTM"):
        ours, count = our_step(Enhancer(NETWORKS[name], WINDOW, HOP), jax.device_put(batch))
        theirs, _ = their_step(name, batch)  # torch's LSTM has a second bias
        found = interleaved({"ours": ours, "torch": theirs}, options.repetitions)
        show(f"enhancement, {name} ({count:,} parameters), step of {BATCH} x 2 s, ms", found)


def block_time(step, carry, block):
    """Median seconds of one block after the other, the carry donated."""
    state = [carry]

    def run():
        for _ in range(20):
            state[0], *out = step(state[0], block)
        jax.block_until_ready(out)

    return interleaved({"ours": run}, options.repetitions)["ours"] / 20


def stream():
    valid = jnp.ones(1, bool)
    print("stream of one row: ms of a block, real-time factor, latency without computing")
    for name, network in NETWORKS.items():
        model, x = Enhancer(network, WINDOW, HOP), jnp.zeros((1, 999))
        params = model.init(jax.random.key(0), x, train=False)
        step = jax.jit(
            lambda carry, x, model=model, params=params: model.apply(
                params, carry, x, valid, method="step"
            )
        )
        seconds = block_time(step, model.initial_carry(1), jnp.zeros((1, HOP)))
        latency = 1000 * model.latency / RATE
        factor = seconds * RATE / HOP
        print(f"enhancement, {name}: {1000 * seconds:.3f}, {factor:.4f}, {latency:.0f} ms")
    for ahead in (None, 1, 3, 10, 30):
        fields = {} if ahead is None else {"bidirectional": True, "lookahead": ahead}
        model = Transcriber(num_classes=11, cell=LSTM(96), **fields)
        params = model.init(jax.random.key(0), jnp.zeros((1, 9000)), jnp.array([9000]), train=False)
        step = jax.jit(
            lambda carry, x, model=model, params=params: model.apply(
                params, carry, x, valid, method="step"
            )
        )
        size = model.stack * model.hop
        seconds = block_time(step, model.initial_carry(1), jnp.zeros((1, size)))
        late = 1000 * (model.reach + (ahead or 0) * size) / RATE
        factor = seconds * RATE / size
        print(
            f"transcription, {ahead or 0} ahead: {1000 * seconds:.3f}, {factor:.4f}, {late:.0f} ms"
        )


if __name__ == "__main__":
    rows = {"enhance": enhance, "stream": stream}
    for name in options.rows.split(","):
        rows[name]()
