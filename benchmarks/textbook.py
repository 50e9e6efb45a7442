"""The GAN loops that a tutorial would write, as the yardstick for gan-train's speed.

Dataset and transforms, DataLoader, BCELoss on sigmoids, nothing frozen, default Adam, nothing
printed per step. Networks and updates are those of gan-train in each row of `rows.py`.

    python -m benchmarks.textbook --network dcgan64 --root data --seconds 20 --workers 0
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

CLASSES = 10


def mlp() -> tuple[nn.Module, nn.Module]:
    """The 2014 paper's perceptrons, in today's sizes."""
    G = nn.Sequential(
        nn.Linear(64, 512),
        nn.ReLU(),
        nn.Linear(512, 512),
        nn.ReLU(),
        nn.Linear(512, 784),
        nn.Tanh(),
        nn.Unflatten(1, (1, 28, 28)),
    )
    D = nn.Sequential(
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(784, 512),
        nn.LeakyReLU(0.2),
        nn.Dropout(0.5),
        nn.Linear(512, 512),
        nn.LeakyReLU(0.2),
        nn.Dropout(0.5),
        nn.Linear(512, 1),
        nn.Sigmoid(),
    )
    return G, D


class ConditionalGenerator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.of_noise = nn.Sequential(nn.Linear(100, 128), nn.LeakyReLU(0.2))
        self.of_label = nn.Sequential(nn.Linear(CLASSES, 10), nn.LeakyReLU(0.2))
        self.layers = nn.Sequential(
            nn.Linear(128 + 10, 256),
            nn.LeakyReLU(0.2),
            nn.Linear(256, 512),
            nn.LeakyReLU(0.2),
            nn.Linear(512, 1024),
            nn.LeakyReLU(0.2),
            nn.Linear(1024, 32 * 32),
            nn.Tanh(),
        )

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        code = one_hot(labels, CLASSES).to(z.dtype)
        x: Tensor = self.layers(torch.cat([self.of_noise(z), self.of_label(code)], 1))
        return x.view(-1, 1, 32, 32)


class ConditionalDiscriminator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.of_image = nn.Sequential(nn.Linear(32 * 32, 512), nn.LeakyReLU(0.2), nn.Dropout(0.4))
        self.of_label = nn.Sequential(nn.Linear(CLASSES, 10), nn.LeakyReLU(0.2), nn.Dropout(0.4))
        self.layers = nn.Sequential(
            nn.Linear(512 + 10, 512),
            nn.LeakyReLU(0.2),
            nn.Dropout(0.4),
            nn.Linear(512, 512),
            nn.LeakyReLU(0.2),
            nn.Dropout(0.4),
            nn.Linear(512, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        code = one_hot(labels, CLASSES).to(x.dtype)
        p: Tensor = self.layers(torch.cat([self.of_image(x.flatten(1)), self.of_label(code)], 1))
        return p


def cgan() -> tuple[nn.Module, nn.Module]:
    """Perceptrons that see the label."""
    return ConditionalGenerator(), ConditionalDiscriminator()


def transposed(wide: int, narrow: int) -> list[nn.Module]:
    """Doubling as in pytorch/examples."""
    return [nn.ConvTranspose2d(wide, narrow, 4, 2, 1, bias=False)]


def upsampled(wide: int, narrow: int) -> list[nn.Module]:
    """Doubling as in PyTorch-GAN's DCGAN."""
    return [nn.Upsample(scale_factor=2), nn.Conv2d(wide, narrow, 3, 1, 1, bias=False)]


def dcgan(
    *widths: int, double: Callable[[int, int], list[nn.Module]] = transposed
) -> tuple[nn.Module, nn.Module]:
    """pytorch/examples' DCGAN, its channels from the largest image to the 4x4 one."""
    first, last = widths[0], widths[-1]
    up: list[nn.Module] = [nn.Unflatten(1, (100, 1, 1))]
    up += [nn.ConvTranspose2d(100, last, 4, 1, 0, bias=False), nn.BatchNorm2d(last), nn.ReLU(True)]
    down: list[nn.Module] = [nn.Conv2d(1, first, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    for narrow, wide in pairwise(widths):
        down += [nn.Conv2d(narrow, wide, 4, 2, 1, bias=False), nn.BatchNorm2d(wide)]
        down += [nn.LeakyReLU(0.2, True)]
    for wide, narrow in pairwise(widths[::-1]):
        up += [*double(wide, narrow), nn.BatchNorm2d(narrow), nn.ReLU(True)]
    up += [*double(first, 1), nn.Tanh()]
    down += [nn.Conv2d(last, 1, 4, 1, 0, bias=False), nn.Sigmoid()]
    G, D = nn.Sequential(*up), nn.Sequential(*down)
    for part in [*G.modules(), *D.modules()]:
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(part.weight, 0.0, 0.02)
        elif isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.weight, 1.0, 0.02)
    return G, D


@dataclass(frozen=True)
class Lesson:
    """What one tutorial trains, and with which numbers."""

    networks: Callable[[], tuple[nn.Module, nn.Module]]
    image_size: int
    noise_dim: int
    lr: float
    conditional: bool = False


LESSONS: dict[str, Lesson] = {
    "mlp": Lesson(mlp, 28, 64, 0.001),
    "cgan": Lesson(cgan, 32, 100, 0.0002, conditional=True),
    "dcgan32": Lesson(lambda: dcgan(64, 128, 256, double=upsampled), 32, 100, 0.0002),
    "dcgan64": Lesson(lambda: dcgan(64, 128, 256, 512), 64, 100, 0.0002),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", required=True, choices=LESSONS)
    parser.add_argument("--root", required=True, help="the folder that holds MNIST/raw, unpacked")
    parser.add_argument("--seconds", type=float, default=20, help="to measure, after the warm-up")
    parser.add_argument("--warmup", type=int, default=50, help="steps before that")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()

    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    lesson, m = LESSONS[args.network], args.batch_size
    steps = [transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))]
    if lesson.image_size != 28:
        steps.insert(0, transforms.Resize(lesson.image_size))
    dataset = datasets.MNIST(args.root, train=True, transform=transforms.Compose(steps))
    loader = DataLoader(dataset, m, shuffle=True, drop_last=True, num_workers=args.workers)
    G, D = lesson.networks()
    opt_g = torch.optim.Adam(G.parameters(), lr=lesson.lr, betas=(0.5, 0.999))
    opt_d = torch.optim.Adam(D.parameters(), lr=lesson.lr, betas=(0.5, 0.999))
    bce, ones, zeros = nn.BCELoss(), torch.ones(m), torch.zeros(m)

    step, start, seconds, first_step_at = 0, 0.0, 0.0, 0.0
    while seconds < args.seconds:
        for images, labels in loader:
            seen = (labels,) if lesson.conditional else ()
            # D: maximise log D(x) + log(1 - D(G(z)))
            opt_d.zero_grad()
            fake = G(torch.randn(m, lesson.noise_dim), *seen)
            loss_d = bce(D(images, *seen).view(-1), ones)
            loss_d = loss_d + bce(D(fake.detach(), *seen).view(-1), zeros)
            loss_d.backward()
            opt_d.step()
            # G: maximise log D(G(z)), on fresh noise
            opt_g.zero_grad()
            fake = G(torch.randn(m, lesson.noise_dim), *seen)
            loss_g = bce(D(fake, *seen).view(-1), ones)
            loss_g.backward()
            opt_g.step()

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
        "images_per_s": (step - args.warmup) * m / seconds,
        "first_step_at": first_step_at,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "steps": step,
        "loss_d": loss_d.item(),
        "loss_g": loss_g.item(),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
