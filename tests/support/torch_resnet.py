"""ResNets in torch, written by hand with torchvision's names."""

import torch
from torch import nn


class SE(nn.Module):
    def __init__(self, channels, hidden):
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(channels, hidden, 1), nn.Conv2d(hidden, channels, 1)

    def forward(self, x):
        scale = nn.functional.adaptive_avg_pool2d(x, 1)
        return x * torch.sigmoid(self.fc2(torch.relu(self.fc1(scale))))


def conv(c, f, k, stride=1, groups=1, dilation=1):
    return nn.Conv2d(c, f, k, stride, k // 2 * dilation, dilation, groups, bias=False)


class Basic(nn.Module):
    def __init__(self, c, f, stride=1, shortcut=None, dilation=1):
        super().__init__()
        self.conv1, self.bn1 = conv(c, f, 3, stride, 1, dilation), nn.BatchNorm2d(f)
        self.conv2, self.bn2 = conv(f, f, 3, 1, 1, dilation), nn.BatchNorm2d(f)
        self.padded = f - c if shortcut == "A" and stride > 1 else None
        if shortcut != "A" and (stride > 1 or c != f):
            self.downsample = nn.Sequential(conv(c, f, 1, stride), nn.BatchNorm2d(f))

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        if hasattr(self, "downsample"):
            x = self.downsample(x)
        elif self.padded is not None:
            x = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.padded))
        return torch.relu(x + y)


class Bottleneck(nn.Module):
    def __init__(self, c, f, stride, inner, groups=1, first=False, hidden=None, dilation=1):
        """The stride is in the first convolution or in the second."""
        super().__init__()
        self.conv1 = conv(c, inner, 1, stride if first else 1)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = conv(inner, inner, 3, 1 if first else stride, groups, dilation)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = conv(inner, 4 * f, 1), nn.BatchNorm2d(4 * f)
        if hidden:
            self.se = SE(4 * f, hidden)
        if stride > 1 or c != 4 * f:
            self.downsample = nn.Sequential(conv(c, 4 * f, 1, stride), nn.BatchNorm2d(4 * f))

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(torch.relu(self.bn2(self.conv2(y)))))
        y = self.se(y) if hasattr(self, "se") else y
        return torch.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class Preactivated(nn.Module):
    """With one window per convolution; `raw`: the input is not activated yet."""

    def __init__(self, channels, windows, stride=1, raw=True):
        super().__init__()
        self.count, self.raw = len(windows), raw
        for i, k in enumerate(windows):
            strided = k == 3 and (i == 0 or len(windows) == 3)
            c, f = channels[i], channels[i + 1]
            setattr(self, f"conv{i + 1}", conv(c, f, k, stride if strided else 1))
            if raw or i:
                setattr(self, f"bn{i + 1}", nn.BatchNorm2d(c))
        if stride > 1 or channels[0] != channels[-1]:
            self.downsample = nn.Sequential(conv(channels[0], channels[-1], 1, stride))

    def forward(self, x):
        y = torch.relu(self.bn1(x)) if self.raw else x
        x = self.downsample(y) if hasattr(self, "downsample") else x
        y = self.conv1(y)
        y = self.conv2(torch.relu(self.bn2(y)))
        return x + (self.conv3(torch.relu(self.bn3(y))) if self.count == 3 else y)


class Net(nn.Module):
    """A stem, stages of given blocks, and what comes after."""

    def __init__(self, stem, stages, features, last=False, classes=3, width=None):
        super().__init__()
        self.pooled, self.plain_stem = stem in ("imagenet", "small"), stem == "wide"
        width = width or {"imagenet": 8, "small": 8, "cifar": 4, "wide": 16}[stem]
        self.conv1 = conv(3, width, 7, 2) if stem == "imagenet" else conv(3, width, 3)
        if not self.plain_stem:
            self.bn1 = nn.BatchNorm2d(width)
        self.count = len(stages)
        for i, stage in enumerate(stages, 1):
            setattr(self, f"layer{i}", nn.Sequential(*stage))
        if last:
            self.norm = nn.BatchNorm2d(features)
        self.fc = nn.Linear(features, classes)

    def forward(self, x):
        x = self.conv1(x)
        x = x if self.plain_stem else torch.relu(self.bn1(x))
        x = nn.functional.max_pool2d(x, 3, 2, 1) if self.pooled else x
        for i in range(1, self.count + 1):
            x = getattr(self, f"layer{i}")(x)
        x = torch.relu(self.norm(x)) if hasattr(self, "norm") else x
        return self.fc(x.mean((2, 3)))
