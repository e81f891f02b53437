"""Networks whose output is a map or a list of boxes: U-Net, a YOLO-like detector, a SegFormer-like one."""

import torch
from torch import nn
from torch.nn import functional

from architectures.blocks import Attention, ConvNorm


class UNet(nn.Module):
    """Down twice, up once by interpolation and once by transposed convolution, with skips."""

    def __init__(self):
        super().__init__()
        self.enc1 = nn.Sequential(ConvNorm(3, 10, 3), ConvNorm(10, 10, 3))
        self.pool1, self.enc2 = nn.MaxPool2d(2), nn.Sequential(ConvNorm(10, 16, 3), ConvNorm(16, 16, 3))
        self.pool2, self.mid = nn.AvgPool2d(2), ConvNorm(16, 20, 3)
        self.up2, self.dec2 = nn.ConvTranspose2d(20, 16, 2, 2), ConvNorm(32, 16, 3)
        self.up1 = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.dec1, self.out = ConvNorm(26, 10, 3), nn.Conv2d(10, 3, 1)

    def forward(self, x):
        one = self.enc1(x)
        two = self.enc2(self.pool1(one))
        y = self.dec2(torch.cat([self.up2(self.mid(self.pool2(two))), two], 1))
        return self.out(self.dec1(torch.cat([self.up1(y), one], 1)))


class Csp(nn.Module):
    """YOLO's split block: half of the channels pass residual layers, all parts are joined."""

    def __init__(self, channels):
        super().__init__()
        half = channels // 2
        self.cv1 = ConvNorm(channels, channels, 1, act=nn.SiLU)
        self.m1, self.m2 = ConvNorm(half, half, 3, act=nn.SiLU), ConvNorm(half, half, 3, act=nn.SiLU)
        self.cv2 = ConvNorm(half * 3, channels, 1, act=nn.SiLU)

    def forward(self, x):
        left, right = self.cv1(x).chunk(2, 1)
        return self.cv2(torch.cat([left, right, right + self.m2(self.m1(right))], 1))


class Yolo(nn.Module):
    """Two scales, pyramid pooling, nearest upsampling, boxes decoded on a grid inside the graph."""

    classes = 5

    def __init__(self):
        super().__init__()
        self.stem, self.down1 = ConvNorm(3, 10, 3, 2, act=nn.SiLU), ConvNorm(10, 16, 3, 2, act=nn.SiLU)
        self.c1, self.down2, self.c2 = Csp(16), ConvNorm(16, 20, 3, 2, act=nn.SiLU), Csp(20)
        self.spp1, self.pool, self.spp2 = (
            ConvNorm(20, 10, 1, act=nn.SiLU),
            nn.MaxPool2d(5, 1, 2),
            ConvNorm(30, 20, 1, act=nn.SiLU),
        )
        self.up, self.lateral = nn.Upsample(scale_factor=2, mode="nearest"), ConvNorm(36, 16, 3, act=nn.SiLU)
        self.heads = nn.ModuleList([nn.Conv2d(16, 4 + self.classes, 1), nn.Conv2d(20, 4 + self.classes, 1)])
        for level, side in enumerate((8, 4)):
            y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
            self.register_buffer(f"grid{level}", torch.stack([x, y], -1).reshape(1, side * side, 2).float())

    def decode(self, head, grid, stride):
        rows = head.permute(0, 2, 3, 1).reshape(head.shape[0], -1, 4 + self.classes)
        centre = (rows[..., :2].sigmoid() * 2 - 0.5 + grid) * stride
        size = (rows[..., 2:4].sigmoid() * 2) ** 2 * (stride * 3)
        return torch.cat([centre, size, rows[..., 4:].sigmoid()], 2)

    def forward(self, x):
        one = self.c1(self.down1(self.stem(x)))
        two = self.c2(self.down2(one))
        p = self.spp1(two)
        q = self.pool(p)
        two = self.spp2(torch.cat([p, q, self.pool(q)], 1))
        one = self.lateral(torch.cat([self.up(two), one], 1))
        small = self.decode(self.heads[0](one), self.grid0, 4.0)
        return torch.cat([small, self.decode(self.heads[1](two), self.grid1, 8.0)], 1)


class MixFeedForward(nn.Module):
    """Dense layers with a depthwise convolution between, on tokens of a square picture."""

    def __init__(self, width, hidden, side):
        super().__init__()
        self.side = side
        self.fc1, self.dwconv = nn.Linear(width, hidden), nn.Conv2d(hidden, hidden, 3, 1, 1, groups=hidden)
        self.act, self.fc2 = nn.GELU(), nn.Linear(hidden, width)

    def forward(self, x):
        x = self.fc1(x)
        picture = x.transpose(1, 2).reshape(x.shape[0], x.shape[2], self.side, self.side)
        return self.fc2(self.act(self.dwconv(picture).flatten(2).transpose(1, 2)))


class MixBlock(nn.Module):
    """Attention to a shrunk picture, then the mixed feed-forward."""

    def __init__(self, width, side, reduction):
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(width), Attention(width, 2, side * side, reduction=reduction)
        self.norm2, self.ffn = nn.LayerNorm(width), MixFeedForward(width, width * 2, side)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.ffn(self.norm2(x))


class SegFormer(nn.Module):
    """Two stages of overlapping patches; both are brought to one size, joined and classified per pixel."""

    def __init__(self):
        super().__init__()
        self.embed1, self.norm1, self.block1 = nn.Conv2d(3, 16, 7, 4, 3), nn.LayerNorm(16), MixBlock(16, 8, 2)
        self.embed2, self.norm2, self.block2 = nn.Conv2d(16, 24, 3, 2, 1), nn.LayerNorm(24), MixBlock(24, 4, 1)
        self.lin1, self.lin2 = nn.Linear(16, 16), nn.Linear(24, 16)
        self.fuse, self.out = ConvNorm(32, 16, 1), nn.Conv2d(16, 3, 1)

    def stage(self, x, embed, norm, block):
        x = embed(x)
        side = x.shape[2]
        tokens = block(norm(x.flatten(2).transpose(1, 2)))
        return tokens, tokens.transpose(1, 2).reshape(x.shape[0], -1, side, side)

    def forward(self, x):
        tokens1, picture = self.stage(x, self.embed1, self.norm1, self.block1)
        tokens2, _ = self.stage(picture, self.embed2, self.norm2, self.block2)
        one = self.lin1(tokens1).transpose(1, 2).reshape(x.shape[0], 16, 8, 8)
        two = self.lin2(tokens2).transpose(1, 2).reshape(x.shape[0], 16, 4, 4)
        two = functional.interpolate(two, size=(8, 8), mode="bilinear", align_corners=False)
        return self.out(self.fuse(torch.cat([one, two], 1)))
