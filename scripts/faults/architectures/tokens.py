"""Networks on tokens and sequences: ViT, a causal transformer, MLP mixer, ConvNeXt, LSTM and GRU."""

import torch
from torch import nn

from architectures.blocks import Attention, FeedForward


class Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, width, heads, tokens, mask=False):
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(width, eps=1e-6), Attention(width, heads, tokens, mask)
        self.norm2, self.mlp = nn.LayerNorm(width, eps=1e-6), FeedForward(width, width * 2)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Vit(nn.Module):
    """Patches of 8 pixels, a class token, learned positions, two blocks."""

    def __init__(self, mask=False):
        super().__init__()
        self.patch = nn.Conv2d(3, 32, 8, 8)
        self.cls = nn.Parameter(torch.randn(1, 1, 32) * 0.5)
        self.pos = nn.Parameter(torch.randn(1, 17, 32) * 0.5)
        self.blocks = nn.Sequential(Block(32, 4, 17, mask), Block(32, 4, 17, mask))
        self.norm, self.head = nn.LayerNorm(32), nn.Linear(32, 10)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1) + self.pos
        return self.head(self.norm(self.blocks(x))[:, 0])


class CausalVit(nn.Module):
    """Patches read in order, each seeing only those before it; the last one is classified."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 24, 8, 8)
        self.pos = nn.Parameter(torch.randn(1, 16, 24) * 0.5)
        self.blocks = nn.Sequential(Block(24, 3, 16, True), Block(24, 3, 16, True))
        self.norm, self.head = nn.LayerNorm(24), nn.Linear(24, 10)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2) + self.pos
        return self.head(self.norm(self.blocks(x))[:, -1])


class MixerBlock(nn.Module):
    """Dense layers across tokens, then across channels."""

    def __init__(self, tokens, width):
        super().__init__()
        self.norm1, self.tokens = nn.LayerNorm(width), FeedForward(tokens, 24)
        self.norm2, self.channels = nn.LayerNorm(width), FeedForward(width, 48)
        self.gate = nn.Linear(width, width, bias=False)

    def forward(self, x):
        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.gate(self.norm2(x)))


class Mixer(nn.Module):
    """An MLP mixer with two blocks."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 28, 8, 8)
        self.blocks = nn.Sequential(MixerBlock(16, 28), MixerBlock(16, 28))
        self.norm, self.head = nn.LayerNorm(28), nn.Linear(28, 10)

    def forward(self, x):
        x = self.blocks(self.patch(x).flatten(2).transpose(1, 2))
        return self.head(self.norm(x).mean(1))


class ConvNextBlock(nn.Module):
    """Large depthwise convolution, normalisation with channels last, dense layers, layer scale."""

    def __init__(self, width):
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm, self.mlp = nn.LayerNorm(width, eps=1e-6), FeedForward(width, width * 2)
        self.gamma = nn.Parameter(torch.rand(width) * 0.4 + 0.3)

    def forward(self, x):
        y = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        return x + (self.mlp(y) * self.gamma).permute(0, 3, 1, 2)


class ChannelNorm(nn.Module):
    """Layer normalisation across the channels of a picture, written out as ConvNeXt does."""

    def __init__(self, channels):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        mean = x.mean(1, keepdim=True)
        variance = (x - mean).pow(2).mean(1, keepdim=True)
        return self.weight[:, None, None] * ((x - mean) / torch.sqrt(variance + 1e-6)) + self.bias[:, None, None]


class ConvNext(nn.Module):
    """Two stages of ConvNeXt blocks."""

    def __init__(self):
        super().__init__()
        self.stem, self.stem_norm = nn.Conv2d(3, 16, 4, 4), ChannelNorm(16)
        self.stage1 = nn.Sequential(ConvNextBlock(16), ConvNextBlock(16))
        self.down_norm, self.down = ChannelNorm(16), nn.Conv2d(16, 24, 2, 2)
        self.stage2 = nn.Sequential(ConvNextBlock(24))
        self.norm, self.head = nn.LayerNorm(24), nn.Linear(24, 10)

    def forward(self, x):
        x = self.stage1(self.stem_norm(self.stem(x)))
        x = self.stage2(self.down(self.down_norm(x)))
        return self.head(self.norm(x.mean((2, 3))))


class Recurrent(nn.Module):
    """Columns of a picture read by a bidirectional LSTM and a GRU."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1, self.act1 = nn.Conv2d(3, 10, 3, padding=1, bias=False), nn.BatchNorm2d(10), nn.Tanh()
        self.pool1 = nn.MaxPool2d(2)
        self.conv2, self.act2, self.pool2 = nn.Conv2d(10, 12, 3, padding=1), nn.LeakyReLU(0.1), nn.MaxPool2d((4, 2))
        self.lstm = nn.LSTM(48, 16, batch_first=True, bidirectional=True)
        self.gru = nn.GRU(32, 16, batch_first=True)
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        x = self.pool2(self.act2(self.conv2(self.pool1(self.act1(self.bn1(self.conv1(x)))))))
        x = x.permute(0, 3, 1, 2).reshape(x.shape[0], x.shape[3], -1)
        x, _ = self.gru(self.lstm(x)[0])
        return self.fc(x[:, -1])
