"""The zip code network against a twin in torch: the test error of both on the same draws of MNIST.

    python tests/benchmarks/zipnet.py --data_dir=~/tensorflow_datasets [--draws=0,1,2] [--passes=23]

Ours is the experiment `zipnet_mnist` as it stands. The twin is the network of Karpathy's
reproduction (karpathy/lecun1989-repro) by its recipe: tanh, biases of zero and -1, weights uniform
in +-2.4 / sqrt(fan-in), squared error, and plain gradient descent at 0.03, one image at a time, in
the same order in every pass. It needs torch.
"""

import argparse
import dataclasses
import sys
import tempfile
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--data_dir")
parser.add_argument("--draws", default="0,1,2")
parser.add_argument("--passes", type=float, default=23)
options = parser.parse_args()

from nets.cli import process  # noqa: E402

process.tune()

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch.nn import functional  # noqa: E402

from nets.cli import runs  # noqa: E402
from nets.data.images import Images  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from experiments.images import zipnet_mnist  # noqa: E402


class Twin(torch.nn.Module):
    """Karpathy's network: the tables and sizes of 1989, tanh throughout."""

    def __init__(self):
        super().__init__()

        def weights(fan_in, *shape):
            return torch.nn.Parameter((2 * torch.rand(shape) - 1) * 2.4 / fan_in**0.5)

        self.h1, self.h2 = weights(25, 12, 1, 5, 5), weights(200, 12, 8, 5, 5)
        self.h3, self.out = weights(192, 192, 30), weights(30, 30, 10)
        biases = (torch.zeros(12, 8, 8), torch.zeros(12, 4, 4), torch.zeros(30), -torch.ones(10))
        self.biases = torch.nn.ParameterList(biases)

    def forward(self, x):  # [B, 1, 16, 16]
        b1, b2, b3, b4 = self.biases
        x = functional.pad(x, (2, 2, 2, 2), value=-1.0)
        x = torch.tanh(functional.conv2d(x, self.h1, stride=2) + b1)
        x = functional.pad(x, (2, 2, 2, 2), value=-1.0)
        seen = (x[:, :8], x[:, 4:], torch.cat((x[:, :4], x[:, 8:]), 1))
        kernels = self.h2.split(4)
        maps = [functional.conv2d(s, k, stride=2) for s, k in zip(seen, kernels, strict=True)]
        x = torch.tanh(torch.cat(maps, 1) + b2).flatten(1)
        return torch.tanh(torch.tanh(x @ self.h3 + b3) @ self.out + b4)


def twin(data: Images, passes: float) -> dict[str, float]:
    """The errors of the twin after training on these images."""
    splits = {"train": data.train(0)[0], "test": data.evaluate("test")[0]}
    images = {s: torch.tensor(b["inputs"]).movedim(-1, 1) for s, b in splits.items()}
    labels = {s: torch.tensor(b["targets"], dtype=torch.long) for s, b in splits.items()}
    targets = 2.0 * functional.one_hot(labels["train"], 10) - 1
    torch.manual_seed(data.draw)
    net = Twin()
    assert sum(p.numel() for p in net.parameters()) == 9760
    optimizer = torch.optim.SGD(net.parameters(), 0.03)
    for step in range(round(passes * len(targets))):
        i = step % len(targets)
        optimizer.zero_grad()
        torch.mean((net(images["train"][i : i + 1]) - targets[i]) ** 2).backward()
        optimizer.step()
    with torch.no_grad():
        return {s: float((net(images[s]).argmax(1) != labels[s]).float().mean()) for s in splits}


def ours(data: Images, passes: float) -> dict[str, float]:
    """The errors of the experiment."""
    experiment = dataclasses.replace(zipnet_mnist.experiment(), data=data, epochs=passes)
    with tempfile.TemporaryDirectory() as folder:
        result = runs.train(experiment, folder)
    return {"train": result["train_eval"]["error"], "test": result["test"]["error"]}


def main():
    torch.set_num_threads(1)
    errors = []
    for draw in map(int, options.draws.split(",")):
        base = zipnet_mnist.experiment().data
        data = dataclasses.replace(base, data_dir=options.data_dir, draw=draw)
        whole = dataclasses.replace(data, batch_size=data.train_size, eval_batch_size=2007)
        rows = {}
        for name, run in (("torch", lambda d=whole: twin(d, options.passes)),
                          ("ours", lambda d=data: ours(d, options.passes))):  # fmt: skip
            began = time.perf_counter()
            rows[name] = run()
            seconds = time.perf_counter() - began
            shown = ", ".join(f"{split} {error:.2%}" for split, error in rows[name].items())
            print(f"draw {draw}, {name}: {shown}; {seconds:.0f} s", flush=True)
        errors.append([rows["torch"]["test"], rows["ours"]["test"]])
    mean, spread = np.mean(errors, 0), np.std(errors, 0)
    print(f"test error, mean of {len(errors)} draws: torch {mean[0]:.2%} +- {spread[0]:.2%}, "
          f"ours {mean[1]:.2%} +- {spread[1]:.2%}")  # fmt: skip


if __name__ == "__main__":
    main()
