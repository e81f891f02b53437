"""Layers that more than one architecture uses."""

import torch
from torch import nn


class ConvNorm(nn.Module):
    """Convolution without bias, batch normalisation, activation."""

    def __init__(self, inputs, outputs, kernel, stride=1, groups=1, act=nn.ReLU, dilation=1, padding=None):
        super().__init__()
        if padding is None:
            padding = dilation * (kernel - 1) // 2
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.act = act() if act else None

    def forward(self, x):
        x = self.bn(self.conv(x))
        return self.act(x) if self.act else x


class Attention(nn.Module):
    """Multi-head self-attention with separate projections.

    `mask` adds a causal mask; `reduction` attends to keys and values of a picture shrunk by that factor.
    """

    def __init__(self, width, heads, tokens, mask=False, reduction=1):
        super().__init__()
        self.heads, self.scale, self.reduction = heads, (width // heads) ** -0.5, reduction
        self.q, self.k, self.v = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, width)
        self.proj = nn.Linear(width, width)
        self.side = round(tokens**0.5)
        if reduction > 1:
            self.sr, self.norm = nn.Conv2d(width, width, reduction, reduction), nn.LayerNorm(width)
        self.register_buffer("mask", torch.triu(torch.full((tokens, tokens), -1e4), 1) if mask else None)

    def split(self, x):
        return x.reshape(x.shape[0], -1, self.heads, x.shape[2] // self.heads).transpose(1, 2)

    def forward(self, x):
        source = x
        if self.reduction > 1:
            picture = x.transpose(1, 2).reshape(x.shape[0], x.shape[2], self.side, self.side)
            source = self.norm(self.sr(picture).flatten(2).transpose(1, 2))
        scores = (self.split(self.q(x)) @ self.split(self.k(source)).transpose(-2, -1)) * self.scale
        if self.mask is not None:
            scores = scores + self.mask
        mixed = scores.softmax(-1) @ self.split(self.v(source))
        return self.proj(mixed.transpose(1, 2).reshape(x.shape))


class FeedForward(nn.Module):
    """Two dense layers with GELU between."""

    def __init__(self, width, hidden):
        super().__init__()
        self.fc1, self.act, self.fc2 = nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width)

    def forward(self, x):
        return self.fc2(self.act(self.fc1(x)))


class InputScaling(nn.Module):
    """Subtracts the mean and divides by the deviation of each colour, as graphs do that take raw pictures."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1))

    def forward(self, x):
        return (x - self.mean) / self.std
