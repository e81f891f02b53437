"""Networks for small devices: depthwise convolutions, squeeze and excitation, channel shuffle."""

import torch
from torch import nn

from architectures.blocks import ConvNorm


class Excite(nn.Module):
    """Squeeze and excitation with a hard sigmoid."""

    def __init__(self, channels, hidden):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce, self.act = nn.Conv2d(channels, hidden, 1), nn.ReLU()
        self.expand, self.gate = nn.Conv2d(hidden, channels, 1), nn.Hardsigmoid()

    def forward(self, x):
        return x * self.gate(self.expand(self.act(self.reduce(self.pool(x)))))


class Inverted(nn.Module):
    """Inverted residual: widen, depthwise, excite, narrow."""

    def __init__(self, inputs, hidden, outputs, stride, kernel, act, excite):
        super().__init__()
        self.expand = ConvNorm(inputs, hidden, 1, act=act)
        self.depthwise = ConvNorm(hidden, hidden, kernel, stride, hidden, act=act)
        self.excite = Excite(hidden, 8) if excite else None
        self.project = ConvNorm(hidden, outputs, 1, act=None)
        self.skip = stride == 1 and inputs == outputs

    def forward(self, x):
        y = self.depthwise(self.expand(x))
        if self.excite is not None:
            y = self.excite(y)
        y = self.project(y)
        return x + y if self.skip else y


class MobileNet(nn.Module):
    """MobileNetV2 and V3 blocks in one net: ReLU6, HardSwish, excitation."""

    def __init__(self):
        super().__init__()
        self.stem = ConvNorm(3, 12, 3, 2, act=nn.Hardswish)
        self.blocks = nn.Sequential(
            Inverted(12, 28, 16, 1, 3, nn.ReLU6, False),
            Inverted(16, 36, 16, 1, 3, nn.ReLU6, True),
            Inverted(16, 40, 20, 2, 5, nn.Hardswish, True),
            Inverted(20, 48, 20, 1, 5, nn.Hardswish, False),
        )
        self.head, self.gap = ConvNorm(20, 40, 1, act=nn.Hardswish), nn.AdaptiveAvgPool2d(1)
        self.drop, self.fc = nn.Dropout(0.2), nn.Linear(40, 10)

    def forward(self, x):
        x = self.gap(self.head(self.blocks(self.stem(x))))
        return self.fc(self.drop(torch.flatten(x, 1)))


def shuffle(x, groups):
    """Interleaves the channels of `groups` groups."""
    n, c, h, w = x.shape
    return x.reshape(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


class ShuffleUnit(nn.Module):
    """ShuffleNet's unit: grouped 1x1, shuffle, depthwise, grouped 1x1, skip."""

    def __init__(self, channels, groups):
        super().__init__()
        self.groups = groups
        self.first = ConvNorm(channels, channels * 2, 1, groups=groups)
        self.depthwise = ConvNorm(channels * 2, channels * 2, 3, groups=channels * 2, act=None)
        self.last = ConvNorm(channels * 2, channels, 1, groups=groups, act=None)
        self.relu = nn.PReLU(channels)

    def forward(self, x):
        return self.relu(x + self.last(self.depthwise(shuffle(self.first(x), self.groups))))


class ShuffleNet(nn.Module):
    """Three shuffle units of two and four groups."""

    def __init__(self):
        super().__init__()
        self.stem, self.pool = ConvNorm(3, 24, 3), nn.MaxPool2d(3, 2, 1)
        self.units = nn.Sequential(ShuffleUnit(24, 2), ShuffleUnit(24, 4), ShuffleUnit(24, 2))
        self.down = nn.AvgPool2d(3, 2, 1)
        self.conv5 = ConvNorm(24, 32, 1)
        self.gap, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(32, 10)

    def forward(self, x):
        x = self.conv5(self.down(self.units(self.pool(self.stem(x)))))
        return self.fc(torch.flatten(self.gap(x), 1))
