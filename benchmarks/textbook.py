"""The MLP GAN loop that a tutorial would write, as the yardstick for gan-train's speed.

Dataset and transforms, DataLoader, BCELoss on sigmoids, nothing frozen, default Adam, nothing
printed per step. The networks and updates are those of `model=vanilla` on images.

    python benchmarks/textbook.py --root data --steps 2000 --batch-size 64 --workers 0
"""

from __future__ import annotations

import argparse
import json
import resource
import time

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

NOISE_DIM = 64
HIDDEN = 512


def generator() -> nn.Module:
    return nn.Sequential(
        nn.Linear(NOISE_DIM, HIDDEN),
        nn.ReLU(),
        nn.Linear(HIDDEN, HIDDEN),
        nn.ReLU(),
        nn.Linear(HIDDEN, 784),
        nn.Tanh(),
    )


def discriminator() -> nn.Module:
    return nn.Sequential(
        nn.Dropout(0.2),
        nn.Linear(784, HIDDEN),
        nn.LeakyReLU(0.2),
        nn.Dropout(0.5),
        nn.Linear(HIDDEN, HIDDEN),
        nn.LeakyReLU(0.2),
        nn.Dropout(0.5),
        nn.Linear(HIDDEN, 1),
        nn.Sigmoid(),
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", required=True)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--warmup", type=int, default=50)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()

    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    to_tensor = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
    dataset = datasets.MNIST(args.root, train=True, transform=to_tensor)
    loader = DataLoader(
        dataset, args.batch_size, shuffle=True, drop_last=True, num_workers=args.workers
    )
    G, D = generator(), discriminator()
    opt_g = torch.optim.Adam(G.parameters(), lr=0.001, betas=(0.5, 0.999))
    opt_d = torch.optim.Adam(D.parameters(), lr=0.001, betas=(0.5, 0.999))
    bce = nn.BCELoss()
    ones, zeros = torch.ones(args.batch_size, 1), torch.zeros(args.batch_size, 1)

    step, first_step, start = 0, 0.0, 0.0
    while step < args.steps + args.warmup:
        for images, _ in loader:
            x = images.flatten(1)
            # D: maximise log D(x) + log(1 - D(G(z)))
            opt_d.zero_grad()
            fake = G(torch.randn(args.batch_size, NOISE_DIM))
            loss_d = bce(D(x), ones) + bce(D(fake.detach()), zeros)
            loss_d.backward()
            opt_d.step()
            # G: maximise log D(G(z)), on fresh noise
            opt_g.zero_grad()
            loss_g = bce(D(G(torch.randn(args.batch_size, NOISE_DIM))), ones)
            loss_g.backward()
            opt_g.step()

            step += 1
            if step == 1:
                first_step = time.time()
            if step == args.warmup:
                start = time.perf_counter()
            if step == args.steps + args.warmup:
                break
    seconds = time.perf_counter() - start
    print(
        json.dumps(
            {
                "images_per_s": args.steps * args.batch_size / seconds,
                "first_step_at": first_step,
                "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "loss_d": loss_d.item(),
                "loss_g": loss_g.item(),
            }
        )
    )


if __name__ == "__main__":
    main()
