"""Does a conditional GAN draw what it is asked for? A classifier trained on real MNIST judges.

    python benchmarks/label_agreement.py --root data outputs/cgan-mnist-1 [more runs]

Trains a small CNN on the 60,000 real training images once (cached beside the data's other caches),
then prints its accuracy on the 10,000 real test images and, for each run, the share of 10,000
samples (1,000 of each class, seed 0) that it takes for the class that was asked for.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import gan_cli
from gan_cli.data.image_files import cache_folder
from gan_cli.data.mnist import find_file, read_idx

EPOCHS, BATCH = 6, 256


def images(root: Path, part: str) -> tuple[Tensor, Tensor]:
    folder = root / "MNIST" / "raw"
    names = f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"
    x_file, y_file = (find_file(folder, name) for name in names)
    assert x_file, f"{folder}: no {names[0]}"
    assert y_file, f"{folder}: no {names[1]}"
    x = read_idx(x_file, dimensions=3).unsqueeze(1).float() / 127.5 - 1
    return x, read_idx(y_file, dimensions=1).long()


def network() -> nn.Module:
    def block(inputs: int, outputs: int) -> list[nn.Module]:
        return [
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        ]

    return nn.Sequential(
        *block(1, 32), *block(32, 32), nn.MaxPool2d(2), nn.Dropout(0.25),
        *block(32, 64), *block(64, 64), nn.MaxPool2d(2), nn.Dropout(0.25),
        nn.Flatten(), nn.Linear(64 * 7 * 7, 10),
    )  # fmt: skip


def train(root: Path) -> nn.Module:
    file = cache_folder() / "label_agreement_mnist.pt"
    model = network()
    if file.is_file():
        model.load_state_dict(torch.load(file, weights_only=True))
        return model.eval()
    torch.manual_seed(0)
    x, y = images(root, "train")
    optimizer = torch.optim.Adam(model.parameters(), lr=0.002, fused=True)
    steps = EPOCHS * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.004, total_steps=steps)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x)).split(BATCH)[: len(x) // BATCH]:
            optimizer.zero_grad()
            cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
            schedule.step()
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), file)
    return model.eval()


@torch.no_grad()
def agreement(model: nn.Module, x: Tensor, y: Tensor) -> float:
    found = torch.cat([model(part).argmax(dim=1) for part in x.split(1000)])
    return (found == y).float().mean().item()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", required=True, type=Path)
    parser.add_argument("runs", nargs="*")
    args = parser.parse_args()
    model = train(args.root)
    print(json.dumps({"real test images": agreement(model, *images(args.root, "t10k"))}))
    for path in args.runs:
        run = gan_cli.load(path)
        low, high = run.gan.spec.value_range or (-1.0, 1.0)
        x = (run.sample(10_000, seed=0) - low) / (high - low) * 2 - 1
        scores = {"run": path, "step": run.step, "averaged": run.game.average is not None}
        print(json.dumps(scores | {"agreement": agreement(model, x, torch.arange(10_000) % 10)}))


if __name__ == "__main__":
    main()
