"""Fresh discriminators that learn to tell real data from samples, for a referee to judge with.

A critic never sees the data that it is judged on. It is fitted on one part of data and samples; a
second part stops the fitting, scales the logits (calibration, Guo et al. 2017, with a bias) and
chooses where they are clipped, so that each term of V is bounded.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softplus

from gan_cli.games.base import evaluating
from gan_cli.seeding import generator_for
from gan_cli.system.stopping import polled
from gan_cli.training.optimizers import light

CHUNK = 8192  # data that a critic looks at at once
NEWTON_STEPS = 30  # of the calibration; it has two numbers to find
CLIPS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)  # logits end there
FEWEST_STEPS = 10  # between two looks
AVERAGED = 0.98  # how much of the averaged weights each step keeps


@dataclass(frozen=True)
class Part:
    """Real data, and generated ones to tell from them; on any device.

    Attributes:
        real: (n, *shape); images as uint8, so that nothing tells them apart but what a file keeps.
        fake: (k n, *shape): those at i, n + i, 2 n + i, ... belong to the real datum i.
        labels: of the real data, int64 (n,), and of each n generated ones; None: not to be seen.
    """

    real: Tensor
    fake: Tensor
    labels: Tensor | None = None

    @property
    def labels_of_fake(self) -> Tensor | None:
        """Those of all generated data, (k n,)."""
        if self.labels is None:
            return None
        return self.labels.repeat(len(self.fake) // len(self.labels))

    def mapped(self, encode: Callable[[Tensor], Tensor]) -> Part:
        """The same seen through a fixed map."""
        return Part(encode(self.real), encode(self.fake), self.labels)


@dataclass(frozen=True)
class Effort:
    """How hard a critic tries.

    Attributes:
        steps: at most.
        batch: real data in each, and as many generated ones.
        rate: Adam's learning rate, which falls to 0 along a cosine.
        look_every: steps between two looks at the part that stops it; fewer where an epoch has.
        patience: looks without a gain before it stops.
    """

    steps: int
    batch: int
    rate: float
    look_every: int = 50
    patience: int = 6


class Critic:
    """D(x) as a calibrated and clipped logit: fixed, whatever it is asked about."""

    def __init__(self, network: nn.Module, encode: Encode, *, device: torch.device) -> None:
        """The network as it is; `fit` and `calibrate` change it.

        Args:
            network: data and labels -> logits (n,).
            encode: what the network sees of data.
            device: where it runs.
        """
        self.network, self.encode, self.device = network.to(device), encode, device
        self.scale, self.bias, self.clip = 1.0, 0.0, math.inf

    def raw(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """The network's own logits, float64 (n,) on the CPU; 0 where they are no numbers."""
        parts = []
        with evaluating(self.network):
            for start in polled(range(0, len(x), CHUNK)):
                rows = slice(start, start + CHUNK)
                parts.append(self.seen(x[rows], None if labels is None else labels[rows]))
        return torch.cat(parts).double().cpu().nan_to_num(0.0, 1e6, -1e6)

    def seen(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """Logits of one batch, with gradients if they are on."""
        on_device = None if labels is None else labels.to(self.device)
        logits: Tensor = self.network(self.encode(x.to(self.device)), on_device)
        return logits

    def logits(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """Calibrated and clipped, float64 (n,) on the CPU."""
        return (self.scale * self.raw(x, labels) + self.bias).clamp(-self.clip, self.clip)


Encode = Callable[[Tensor], Tensor]


def fit(critic: Critic, part: Part, stop: Part, *, effort: Effort, seed: int) -> None:
    """Train on `part` until `stop` shows no gain, and keep the average of weights that did best.

    Minimises softplus(-D(x)) + softplus(D(G(z))), which is -V(D, G) of eq. 1 in 2014.
    """
    network, draws = critic.network.train(), generator_for(seed, "referee", "batches")
    optimizer = light(torch.optim.Adam)(
        network.parameters(), lr=effort.rate, betas=(0.5, 0.99), fused=True
    )
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, effort.steps)
    average = copy.deepcopy(network)
    best, state, looks = loss_of(critic, stop), copy.deepcopy(network.state_dict()), 0
    labels_of_fake = part.labels_of_fake
    look_every = min(effort.look_every, max(FEWEST_STEPS, len(part.real) // effort.batch))
    for step in polled(range(1, effort.steps + 1)):
        x = torch.randint(len(part.real), (effort.batch,), generator=draws)
        z = torch.randint(len(part.fake), (effort.batch,), generator=draws)
        real = critic.seen(part.real[x], None if part.labels is None else part.labels[x])
        fake = critic.seen(part.fake[z], None if labels_of_fake is None else labels_of_fake[z])
        optimizer.zero_grad()
        (softplus(-real).mean() + softplus(fake).mean()).backward()
        optimizer.step()
        rates.step()
        follow(average, network, kept=min(AVERAGED, step / (step + 10)))
        if step % look_every and step < effort.steps:
            continue
        critic.network = average
        loss = loss_of(critic, stop)
        critic.network, looks = network, looks + 1
        if loss < best:
            best, state, looks = loss, copy.deepcopy(average.state_dict()), 0
        elif looks >= effort.patience:
            break
    network.load_state_dict(state)
    network.eval().requires_grad_(False)


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, *, kept: float) -> None:
    """Move averaged weights towards the weights; buffers are copied."""
    for mean, value in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(value, 1 - kept)
    for kept_buffer, buffer in zip(average.buffers(), network.buffers(), strict=True):
        kept_buffer.copy_(buffer)


def loss_of(critic: Critic, part: Part) -> float:
    """-V of the critic as it is."""
    real, fake = critic.raw(part.real, part.labels), critic.raw(part.fake, part.labels_of_fake)
    return (softplus(-real).mean() + softplus(fake).mean()).item()


def calibrate(critic: Critic, stop: Part, *, judged: int, delta: float) -> None:
    """Choose scale and bias that lose least on `stop`, and the clip that promises the best bound.

    Args:
        critic: fitted; changed.
        stop: what stopped it.
        judged: how many data will be judged.
        delta: how often their bound may be wrong.
    """
    real, fake = critic.raw(stop.real, stop.labels), critic.raw(stop.fake, stop.labels_of_fake)
    critic.scale, critic.bias = scale_and_bias(real, fake)
    real, fake = (critic.scale * x + critic.bias for x in (real, fake))

    def promised(clip: float) -> float:
        values, (low, high) = terms(real.clamp(-clip, clip), fake.clamp(-clip, clip)), ends(clip)
        log = math.log(1 / delta)
        slack = math.sqrt(2 * values.var().item() * log / judged) + (high - low) * log / judged
        return values.mean().item() - slack

    critic.clip = max(CLIPS, key=promised)


def scale_and_bias(real: Tensor, fake: Tensor) -> tuple[float, float]:
    """The a and b for which a l + b is the best log-odds, by Newton's method.

    Both kinds weigh the same. A small pull of a and b towards 1 and 0 keeps the problem well posed.

    Args:
        real: logits l of real data, float64 (n,).
        fake: of generated ones, (m,).
    """
    pull = 1.0 / min(len(real), len(fake))
    ab = torch.tensor([1.0, 0.0], dtype=torch.float64)
    start, eye = ab.clone(), torch.eye(2, dtype=torch.float64)

    def loss(ab: Tensor) -> float:
        of_real, of_fake = (ab[0] * x + ab[1] for x in (real, fake))
        value = softplus(-of_real).mean() + softplus(of_fake).mean()
        return (value + pull * (ab - start).square().sum() / 2).item()

    for _ in range(NEWTON_STEPS):
        slope, curvature = pull * (ab - start), pull * eye
        for x, sign in ((real, -1.0), (fake, 1.0)):
            wrong = torch.sigmoid(sign * (ab[0] * x + ab[1]))
            inputs = torch.stack([x, torch.ones_like(x)])
            slope = slope + sign * (inputs * wrong).mean(dim=1)
            weights = wrong * (1 - wrong) / len(x)
            curvature = curvature + (inputs * weights) @ inputs.T
        move, size, before = torch.linalg.solve(curvature, slope), 1.0, loss(ab)
        while size > 1e-6 and loss(ab - size * move) > before:
            size /= 2
        if size <= 1e-6:
            break
        ab = ab - size * move
    return ab[0].item(), ab[1].item()


def terms(real: Tensor, fake: Tensor) -> Tensor:
    """(log 2 + log D(x) + log 2 + mean of log(1 - D(G(z)))) / 2 of each real datum and its samples.

    Their expectation is (V(D, G) + log 4) / 2, which no D lifts above the JSD (Theorem 1).

    Args:
        real: logits of real data, float64 (n,).
        fake: of samples, (k n,), ordered as in `Part`.

    Returns:
        Float64 (n,), in nats.
    """
    of_fake = logsigmoid(-fake).view(-1, len(real)).mean(dim=0)
    return math.log(2) + (logsigmoid(real) + of_fake) / 2


def ends(clip: float) -> tuple[float, float]:
    """The smallest and the largest value of a term, where logits end at +-clip."""
    return math.log(2) - softplus_of(clip), math.log(2) - softplus_of(-clip)


def softplus_of(x: float) -> float:
    """The logarithm of 1 + e^x."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))
