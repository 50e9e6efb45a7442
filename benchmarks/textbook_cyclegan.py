"""The CycleGAN loop that a tutorial would write, as the yardstick for gan-train's speed.

Dataset and transforms, DataLoader, the paper's networks, MSELoss and L1Loss, nothing frozen,
default Adam, nothing printed per step. G first, then D on pooled fakes, as in the authors' code.
Networks and updates are those of gan-train: no biases where instance norm would take them out.

    python -m benchmarks.textbook_cyclegan --root photos --seconds 40
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import resource
import time
from pathlib import Path

import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms


class Photos(Dataset):
    def __init__(self, root: str, size: int) -> None:
        self.a, self.b = (sorted(Path(root, name).iterdir()) for name in ("trainA", "trainB"))
        self.transform = transforms.Compose(
            [
                transforms.Resize((size * 286 // 256, size * 286 // 256), Image.BICUBIC),
                transforms.RandomCrop(size),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize((0.5,) * 3, (0.5,) * 3),
            ]
        )

    def __len__(self) -> int:
        return max(len(self.a), len(self.b))

    def __getitem__(self, index: int):
        a, b = Image.open(self.a[index % len(self.a)]), Image.open(random.choice(self.b))
        return self.transform(a.convert("RGB")), self.transform(b.convert("RGB"))


def normed(layer: nn.Module, channels: int) -> list[nn.Module]:
    return [layer, nn.InstanceNorm2d(channels), nn.ReLU(inplace=True)]


class Block(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        first = [nn.ReflectionPad2d(1), *normed(nn.Conv2d(c, c, 3, bias=False), c)]
        second = [nn.ReflectionPad2d(1), nn.Conv2d(c, c, 3, bias=False), nn.InstanceNorm2d(c)]
        self.layers = nn.Sequential(*first, *second)

    def forward(self, x):
        return x + self.layers(x)


def generator(blocks: int) -> nn.Module:
    return nn.Sequential(
        nn.ReflectionPad2d(3), *normed(nn.Conv2d(3, 64, 7, bias=False), 64),
        *normed(nn.Conv2d(64, 128, 3, 2, 1, bias=False), 128),
        *normed(nn.Conv2d(128, 256, 3, 2, 1, bias=False), 256),
        *(Block(256) for _ in range(blocks)),
        *normed(nn.ConvTranspose2d(256, 128, 3, 2, 1, 1, bias=False), 128),
        *normed(nn.ConvTranspose2d(128, 64, 3, 2, 1, 1, bias=False), 64),
        nn.ReflectionPad2d(3), nn.Conv2d(64, 3, 7), nn.Tanh(),
    )  # fmt: skip


def discriminator() -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
    for c, stride in ((64, 2), (128, 2), (256, 1)):
        layers += [nn.Conv2d(c, 2 * c, 4, stride, 1, bias=False), nn.InstanceNorm2d(2 * c)]
        layers += [nn.LeakyReLU(0.2, inplace=True)]
    return nn.Sequential(*layers, nn.Conv2d(512, 1, 4, 1, 1))


class Pool:
    def __init__(self) -> None:
        self.images: list[torch.Tensor] = []

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        if len(self.images) < 50:
            self.images.append(image)
        elif random.random() < 0.5:
            place = random.randrange(50)
            image, self.images[place] = self.images[place], image
        return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", required=True)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--blocks", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=40, help="to measure, after the warm-up")
    parser.add_argument("--warmup", type=int, default=2, help="steps before that")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()

    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    loader = DataLoader(Photos(args.root, args.size), 1, shuffle=True, num_workers=args.workers)
    G, F, D_A, D_B = (
        generator(args.blocks),
        generator(args.blocks),
        discriminator(),
        discriminator(),
    )
    for p in itertools.chain(*(m.parameters() for m in (G, F, D_A, D_B))):
        nn.init.normal_(p, 0.0, 0.02)
    opt_g = torch.optim.Adam(itertools.chain(G.parameters(), F.parameters()), 2e-4, (0.5, 0.999))
    opt_d = torch.optim.Adam(
        itertools.chain(D_A.parameters(), D_B.parameters()), 2e-4, (0.5, 0.999)
    )
    mse, l1, pool_a, pool_b = nn.MSELoss(), nn.L1Loss(), Pool(), Pool()
    ones, zeros = torch.ones_like, torch.zeros_like

    step, start, seconds, first_step_at = 0, 0.0, 0.0, 0.0
    while seconds < args.seconds:
        for a, b in loader:
            opt_g.zero_grad()
            fake_b, fake_a = G(a), F(b)
            on_b, on_a = D_B(fake_b), D_A(fake_a)
            loss_g = mse(on_b, ones(on_b)) + mse(on_a, ones(on_a))
            loss_g = loss_g + 10 * l1(F(fake_b), a) + 10 * l1(G(fake_a), b)
            loss_g.backward()
            opt_g.step()
            opt_d.zero_grad()
            for D, real, fake in (
                (D_A, a, pool_a(fake_a.detach())),
                (D_B, b, pool_b(fake_b.detach())),
            ):
                on_real, on_fake = D(real), D(fake)
                loss_d = 0.5 * (mse(on_real, ones(on_real)) + mse(on_fake, zeros(on_fake)))
                loss_d.backward()
            opt_d.step()
            step += 1
            if step == 1:
                first_step_at = time.time()
            if step == args.warmup:
                start = time.perf_counter()
            if step > args.warmup:
                seconds = time.perf_counter() - start
                if seconds >= args.seconds:
                    break
    found = {
        "images_per_s": (step - args.warmup) / seconds,
        "first_step_at": first_step_at,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "steps": step,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
