"""Convolutional classifiers of the classic kinds: plain, residual, squeezed, dense, inception."""

import torch
from torch import nn

from architectures.blocks import ConvNorm, InputScaling


class Vgg(nn.Module):
    """Plain stack with batch normalisation, flattened into dense layers."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            ConvNorm(3, 12, 3), ConvNorm(12, 16, 3), nn.MaxPool2d(2),
            ConvNorm(16, 20, 3), ConvNorm(20, 20, 3), nn.MaxPool2d(3, 2, 1),
            ConvNorm(20, 24, 3, dilation=2), nn.MaxPool2d(2),
        )  # fmt: skip
        self.flatten = nn.Flatten()
        self.fc1, self.relu1 = nn.Linear(24 * 16, 32), nn.ReLU()
        self.fc2 = nn.Linear(32, 10)

    def forward(self, x):
        return self.fc2(self.relu1(self.fc1(self.flatten(self.features(x)))))


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride), 1x1, and the skip connection."""

    def __init__(self, inputs, width, outputs, stride=1):
        super().__init__()
        self.reduce = ConvNorm(inputs, width, 1)
        self.middle = ConvNorm(width, width, 3, stride)
        self.expand = ConvNorm(width, outputs, 1, act=None)
        plain = stride == 1 and inputs == outputs
        self.down = None if plain else ConvNorm(inputs, outputs, 1, stride, act=None)
        self.relu = nn.ReLU()

    def forward(self, x):
        y = self.expand(self.middle(self.reduce(x)))
        return self.relu(y + (x if self.down is None else self.down(x)))


class ResNet(nn.Module):
    """Residual blocks behind a picture scaled inside the graph."""

    def __init__(self):
        super().__init__()
        self.scaling = InputScaling()
        self.stem, self.pool = ConvNorm(3, 16, 7, 2), nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(Bottleneck(16, 12, 32), Bottleneck(32, 12, 32))
        self.layer2 = nn.Sequential(Bottleneck(32, 16, 40, 2), Bottleneck(40, 16, 40))
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(40, 10)

    def forward(self, x):
        x = self.layer2(self.layer1(self.pool(self.stem(self.scaling(x)))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class Fire(nn.Module):
    """SqueezeNet's block: a narrow 1x1 feeds a 1x1 and a 3x3, whose outputs are joined."""

    def __init__(self, inputs, squeeze, expand):
        super().__init__()
        self.squeeze, self.act = nn.Conv2d(inputs, squeeze, 1), nn.ReLU()
        self.expand1, self.act1 = nn.Conv2d(squeeze, expand, 1), nn.ReLU()
        self.expand3, self.act3 = nn.Conv2d(squeeze, expand, 3, padding=1), nn.ReLU()

    def forward(self, x):
        x = self.act(self.squeeze(x))
        return torch.cat([self.act1(self.expand1(x)), self.act3(self.expand3(x))], 1)


class SqueezeNet(nn.Module):
    """Fire blocks, no batch normalisation, pooling that rounds up."""

    def __init__(self):
        super().__init__()
        self.conv1, self.act1 = nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU()
        self.pool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.fire2, self.fire3 = Fire(16, 8, 14), Fire(28, 8, 14)
        self.pool3 = nn.MaxPool2d(3, 2)
        self.fire4 = Fire(28, 10, 18)
        self.head, self.head_act = nn.Conv2d(36, 10, 1), nn.LeakyReLU(0.1)
        self.gap = nn.AdaptiveAvgPool2d(1)

    def forward(self, x):
        x = self.pool3(self.fire3(self.fire2(self.pool1(self.act1(self.conv1(x))))))
        return torch.flatten(self.gap(self.head_act(self.head(self.fire4(x)))), 1)


class DenseLayer(nn.Module):
    """Normalisation and activation before each convolution; the input is kept beside the output."""

    def __init__(self, inputs, growth):
        super().__init__()
        self.norm1, self.relu1, self.conv1 = nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, 24, 1, bias=False)
        self.norm2, self.relu2 = nn.BatchNorm2d(24), nn.ReLU()
        self.conv2 = nn.Conv2d(24, growth, 3, padding=1, bias=False)

    def forward(self, x):
        y = self.conv1(self.relu1(self.norm1(x)))
        return torch.cat([x, self.conv2(self.relu2(self.norm2(y)))], 1)


class DenseNet(nn.Module):
    """Two dense blocks with a transition that halves the picture by averaging."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 2, 1, bias=False)
        self.block1 = nn.Sequential(DenseLayer(16, 8), DenseLayer(24, 8), DenseLayer(32, 8))
        self.norm, self.relu, self.conv = nn.BatchNorm2d(40), nn.ELU(0.7), nn.Conv2d(40, 20, 1, bias=False)
        self.pool = nn.AvgPool2d(2)
        self.block2 = nn.Sequential(DenseLayer(20, 8), DenseLayer(28, 8))
        self.norm5, self.relu5 = nn.BatchNorm2d(36), nn.ReLU()
        self.gap, self.classifier = nn.AdaptiveAvgPool2d(1), nn.Linear(36, 10)

    def forward(self, x):
        x = self.pool(self.conv(self.relu(self.norm(self.block1(self.stem(x))))))
        x = self.relu5(self.norm5(self.block2(x)))
        return self.classifier(torch.flatten(self.gap(x), 1))


class Mixed(nn.Module):
    """Inception's block: four ways of looking at one picture, joined."""

    def __init__(self, inputs):
        super().__init__()
        self.b1 = ConvNorm(inputs, 10, 1)
        self.b3 = nn.Sequential(ConvNorm(inputs, 8, 1), ConvNorm(8, 12, 3))
        self.b5 = nn.Sequential(ConvNorm(inputs, 8, 1), ConvNorm(8, 8, 5))
        self.pool = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
        self.bp = ConvNorm(inputs, 8, 1)

    def forward(self, x):
        return torch.cat([self.b1(x), self.b3(x), self.b5(x), self.bp(self.pool(x))], 1)


class Inception(nn.Module):
    """Two mixed blocks, class probabilities at the end."""

    def __init__(self):
        super().__init__()
        self.stem1, self.stem2 = ConvNorm(3, 12, 3, 2), ConvNorm(12, 16, 3)
        self.mixed1, self.pool, self.mixed2 = Mixed(16), nn.MaxPool2d(3, 2, 1), Mixed(38)
        self.gap, self.dropout, self.fc = nn.AdaptiveAvgPool2d(1), nn.Dropout(0.2), nn.Linear(38, 10)
        self.prob = nn.Softmax(1)

    def forward(self, x):
        x = self.mixed2(self.pool(self.mixed1(self.stem2(self.stem1(x)))))
        return self.prob(self.fc(self.dropout(torch.flatten(self.gap(x), 1))))
