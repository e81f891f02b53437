"""Trains the reference; returns everything that a training run would put into its checkpoint."""

import argparse
import copy

import torch
from network import SEED, DigitsNet, to_nchw
from torch.nn import functional as F

TEST_COUNT = 360


def train(pictures, labels):
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # one order of summation, hence the same weights on every run
    torch.use_deterministic_algorithms(True)
    args = argparse.Namespace(
        arch="DigitsNet", epochs=24, batch_size=64, lr=4e-3, weight_decay=1e-2, ema_decay=0.98, seed=SEED, resume=None
    )
    x, y = torch.from_numpy(to_nchw(pictures)), torch.from_numpy(labels).long()
    train_x, train_y, test_x, test_y = x[:-TEST_COUNT], y[:-TEST_COUNT], x[-TEST_COUNT:], y[-TEST_COUNT:]
    model = DigitsNet()
    ema = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=args.weight_decay)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.epochs)
    for _ in range(args.epochs):
        model.train()
        for batch in torch.randperm(len(train_x)).split(args.batch_size):
            optimizer.zero_grad()
            F.cross_entropy(model(train_x[batch]), train_y[batch]).backward()
            optimizer.step()
            for name, value in model.state_dict().items():
                if value.is_floating_point():
                    ema[name].lerp_(value, 1 - args.ema_decay)
                else:
                    ema[name].copy_(value)
        scheduler.step()
    model.eval()
    with torch.no_grad():
        accuracy = (model(test_x).argmax(1) == test_y).double().mean().item()
    checkpoint = {
        "epoch": args.epochs,
        "arch": args.arch,
        "model": model.state_dict(),
        "ema": ema,
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "best_acc1": accuracy,
        "args": args,
    }
    return model, checkpoint, accuracy
