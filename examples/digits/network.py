"""The reference network and its data: scikit-learn's digits, enlarged to 3 x 16 x 12 and tinted.

Height, width and channel count all differ from one another and the channels carry different pictures,
so that a swapped axis or colour order changes the result.
"""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

SEED = 20
HEIGHT, WIDTH = 16, 12
INPUT_NAME, OUTPUT_NAME = "image", "logits"


class DepthwiseBlock(nn.Module):
    """x + BN(pointwise(ReLU(BN(depthwise(x))))), then ReLU."""

    def __init__(self, channels):
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x):
        y = F.relu(self.bn1(self.depthwise(x)))
        return F.relu(self.bn2(self.pointwise(y)) + x)


class DigitsNet(nn.Module):
    """[N, 3, 16, 12] in 0..1 -> logits [N, 10]."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.stem_bn = nn.BatchNorm2d(16)
        self.down = nn.Conv2d(16, 24, 3, stride=2, padding=1)
        self.down_bn = nn.BatchNorm2d(24)
        self.block = DepthwiseBlock(24)
        self.fc1 = nn.Linear(24 * 4 * 3, 32)
        self.fc2 = nn.Linear(32, 10)

    def forward(self, x):
        x = F.relu(self.stem_bn(self.stem(x)))  # 16 x 16 x 12
        x = F.relu(self.down_bn(self.down(x)))  # 24 x 8 x 6
        x = F.max_pool2d(self.block(x), 2)  # 24 x 4 x 3
        x = F.relu(self.fc1(torch.flatten(x, 1)))
        return self.fc2(x)


def load_data():
    """Pictures u8 [N, 16, 12, 3] and labels, shuffled by SEED; the last 360 are the test set."""
    digits = load_digits()
    small = torch.from_numpy(digits.images / 16.0).float()[:, None]
    large = F.interpolate(small, size=(HEIGHT, WIDTH), mode="bilinear", align_corners=False)[:, 0].numpy()
    rng = np.random.default_rng(SEED)
    count = len(large)
    ink = np.array([0.95, 0.55, 0.15]) + rng.uniform(-0.15, 0.05, (count, 3))  # orange on dark blue
    paper = np.array([0.05, 0.15, 0.45]) + rng.uniform(-0.05, 0.15, (count, 3))
    mix = large[..., None]
    pictures = mix * ink[:, None, None] + (1 - mix) * paper[:, None, None]
    pictures += rng.normal(0, 0.02, pictures.shape)
    pictures = np.clip(np.rint(pictures * 255), 0, 255).astype(np.uint8)
    order = rng.permutation(count)
    return pictures[order], digits.target[order]


def to_nchw(pictures):
    """u8 [N, H, W, C] -> float32 [N, C, H, W] in 0..1."""
    return np.ascontiguousarray(to_nhwc(pictures).transpose(0, 3, 1, 2))


def to_nhwc(pictures):
    """u8 [N, H, W, C] -> float32 [N, H, W, C] in 0..1."""
    return pictures.astype(np.float32) / np.float32(255)
