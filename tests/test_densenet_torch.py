"""DenseNets against the same in torch, written by hand with torchvision's names."""

import pytest

from nets.densenet import DenseNet
from tests.test_resnet import batch
from tests.test_resnet_torch import assert_equal

torch = pytest.importorskip("torch")
nn = torch.nn


class Layer(nn.Module):
    def __init__(self, seen, growth, inner):
        super().__init__()
        if inner:
            self.norm1, self.conv1 = nn.BatchNorm2d(seen), nn.Conv2d(seen, inner, 1, bias=False)
            self.norm2 = nn.BatchNorm2d(inner)
            self.conv2 = nn.Conv2d(inner, growth, 3, padding=1, bias=False)
        else:
            self.norm1 = nn.BatchNorm2d(seen)
            self.conv1 = nn.Conv2d(seen, growth, 3, padding=1, bias=False)

    def forward(self, x):
        x = self.conv1(torch.relu(self.norm1(x)))
        return self.conv2(torch.relu(self.norm2(x))) if hasattr(self, "conv2") else x


class Block(nn.ModuleDict):
    def forward(self, x):
        maps = [x]
        for layer in self.values():
            maps.append(layer(torch.cat(maps, 1)))
        return torch.cat(maps, 1)


class Net(nn.Module):
    def __init__(self, layers, growth, maps, inner, large):
        super().__init__()
        f = self.features = nn.Sequential()
        if large:
            f.add_module("conv0", nn.Conv2d(3, maps, 7, 2, 3, bias=False))
            f.add_module("norm0", nn.BatchNorm2d(maps))
            f.add_module("relu0", nn.ReLU())
            f.add_module("pool0", nn.MaxPool2d(3, 2, 1))
        else:
            f.add_module("conv0", nn.Conv2d(3, maps, 3, 1, 1, bias=False))
        for i, count in enumerate(layers, 1):
            block = {
                f"denselayer{j + 1}": Layer(maps + j * growth, growth, inner) for j in range(count)
            }
            f.add_module(f"denseblock{i}", Block(block))
            maps += count * growth
            if i < len(layers):
                half = nn.Sequential()
                half.add_module("norm", nn.BatchNorm2d(maps))
                half.add_module("relu", nn.ReLU())
                half.add_module("conv", nn.Conv2d(maps, maps // 2, 1, bias=False))
                half.add_module("pool", nn.AvgPool2d(2, 2))
                f.add_module(f"transition{i}", half)
                maps //= 2
        f.add_module(f"norm{len(layers) + 1}", nn.BatchNorm2d(maps))
        self.classifier = nn.Linear(maps, 3)

    def forward(self, x):
        return self.classifier(torch.relu(self.features(x)).mean((2, 3)))


@pytest.mark.parametrize(
    "fields, inner, large, side",
    [
        ({}, 12, True, 37),
        ({"stem": "cifar", "bottleneck": 2}, 6, False, 9),
        ({"stem": "cifar", "bottleneck": None}, None, False, 10),
    ],
)
def test_densenet(fields, inner, large, side):
    model = DenseNet(**{"layers": (2, 3), "growth": 3, "width": 5, "num_classes": 3} | fields)
    theirs = Net((2, 3), 3, 5, inner, large)
    assert_equal(model, theirs, batch(2, side, side + 2, 3))
