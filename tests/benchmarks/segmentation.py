"""Segmentation against torch, on the same cores.

    python tests/benchmarks/segmentation.py [--repetitions=7] [--rows=unet,fcn]

Training steps and segmentation of the networks of `unet_shapes` and `fcn8s_camvid`, against twins
with the same layers. Every figure is the median of interleaved repetitions in one process. Run it
on an idle machine; it needs torch and torchvision.
"""

import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--repetitions", type=int, default=7)
parser.add_argument("--rows", default="unet,fcn")
options = parser.parse_args()

from nets.cli import process  # noqa: E402

process.tune()

import numpy as np  # noqa: E402
import torch  # noqa: E402
from detection_twins import BasicBlock  # noqa: E402
from network_rows import channels_last, network  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from nets.fcn import FCN  # noqa: E402
from nets.resnet import ResNet18  # noqa: E402
from nets.tasks.segment import Segment  # noqa: E402
from nets.unet import UNet  # noqa: E402

SIDE, BATCH = 128, 8


def level(before, after):
    """Two convolutions with normalisation and ReLU."""
    layers = []
    for channels in (before, after):
        layers += [nn.Conv2d(channels, after, 3, padding=1, bias=False), nn.BatchNorm2d(after),
                   nn.ReLU()]  # fmt: skip
    return nn.Sequential(*layers)


class UNetTwin(nn.Module):
    """`nets.unet.UNet` with transposed convolutions."""

    def __init__(self, channels, widths, classes):
        super().__init__()
        before = (channels, *widths[:-1])
        self.down = nn.ModuleList(map(level, before, widths))
        pairs = list(zip(widths[1:], widths[:-1], strict=True))
        self.upsample = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, 2) for a, b in pairs)
        self.up = nn.ModuleList(level(2 * b, b) for _, b in pairs)
        self.logits = nn.Conv2d(widths[0], classes, 1)

    def forward(self, x):
        skips = []
        for i, down in enumerate(self.down):
            x = down(functional.max_pool2d(x, 2) if i else x)
            skips.append(x)
        for i in reversed(range(len(self.up))):
            x = self.up[i](torch.cat([skips[i], self.upsample[i](x)], 1))
        return self.logits(x)


def stage(before, after, stride):
    """Two basic blocks of a residual network."""
    wider = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
    first = BasicBlock(before, after, stride, wider if stride > 1 else None)
    return nn.Sequential(first, BasicBlock(after, after))


class FCNTwin(nn.Module):
    """`nets.fcn.FCN` of 8 pixels on `ResNet18(width=32)`."""

    def __init__(self, channels, classes):
        super().__init__()
        self.layer1 = nn.Sequential(
            nn.Conv2d(channels, 32, 7, 2, 3, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
            nn.MaxPool2d(3, 2, 1), stage(32, 32, 1),
        )  # fmt: skip
        self.layers = nn.ModuleList(stage(a, 2 * a, 2) for a in (32, 64, 128))
        self.fc6 = nn.Sequential(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.Dropout(0.2))
        self.scores = nn.ModuleList(nn.Conv2d(a, classes, 1) for a in (64, 128, 256))
        self.upsample = nn.ModuleList(
            nn.ConvTranspose2d(classes, classes, 2 * n, n, n // 2, bias=False) for n in (8, 2, 2)
        )

    def forward(self, x):
        x, maps = self.layer1(x), []
        for layer in self.layers:
            x = layer(x)
            maps.append(x)
        maps[-1] = self.fc6(maps[-1])
        y = None
        for score, upsample, x in reversed(
            list(zip(self.scores, self.upsample, maps, strict=True))
        ):
            y = upsample(score(x) if y is None else y + score(x))
        return y


def row(name, model, twin, classes):
    """A network of images of 3 channels against its twin."""
    rng = np.random.default_rng(0)
    batch = {
        "inputs": rng.normal(size=(BATCH, SIDE, SIDE, 3)).astype(np.float32),
        "targets": rng.integers(0, classes, (BATCH, SIDE, SIDE)).astype(np.int32),
    }
    x, targets = channels_last(batch["inputs"]), torch.tensor(batch["targets"]).long()
    net = twin.to(memory_format=torch.channels_last)

    def segment():
        net.eval()
        with torch.no_grad():
            return net(x).argmax(1)

    network(
        name, model, Segment(), {"train": False}, batch, net,
        lambda: functional.cross_entropy(net(x), targets), segment, options.repetitions,
    )  # fmt: skip


def unet():
    widths, classes = (12, 24, 48, 64), 6
    row("U-Net, small", UNet(widths, num_classes=classes), UNetTwin(3, widths, classes), classes)


def fcn():
    classes, fields = 11, {"hidden": (256,), "window": 3, "dropout": 0.2}
    stages, strides = ("layer2", "layer3", "layer4"), (8, 16, 32)
    backbone = ResNet18(width=32, num_classes=0)
    model = FCN(backbone, stages, strides, num_classes=classes, **fields)
    row("FCN-8s on ResNet18 of half the width", model, FCNTwin(3, classes), classes)


if __name__ == "__main__":
    torch.manual_seed(0)
    for name in options.rows.split(","):
        {"unet": unet, "fcn": fcn}[name]()
