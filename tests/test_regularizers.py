"""Losses of D's outputs, penalties and views against closed forms and float64 autograd."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan_cli.losses import (
    Hinge,
    LeastSquares,
    Loss,
    Minimax,
    NonSaturating,
    Relativistic,
    Wasserstein,
)
from gan_cli.regularizers import (
    R1,
    R2,
    DiffAugment,
    GradientPenalty,
    InstanceNoise,
    LabelSmoothing,
    Regularizer,
    WeightClipping,
    conflicts,
    is_unbounded,
)
from gan_cli.regularizers.images import change_color, cut_out, translate
from gan_cli.seeding import generator_for

REAL = torch.tensor([0.3, -1.2, 2.0, 0.1], dtype=torch.float64)
FAKE = torch.tensor([-0.7, 1.1, 0.4, -2.5], dtype=torch.float64)


def log_sigmoid(x: Tensor) -> Tensor:
    return torch.log(1 / (1 + torch.exp(-x)))


EXPECTED: list[tuple[Loss, Any, Any]] = [
    (
        LeastSquares(d_weight=0.5, g_weight=0.5),  # Mao et al. 2017, eq. 9
        0.5 * ((REAL - 1) ** 2).mean() + 0.5 * (FAKE**2).mean(),
        0.5 * ((FAKE - 1) ** 2).mean(),
    ),
    (
        Hinge(d_weight=1.0),
        (1 - REAL).clamp(min=0).mean() + (1 + FAKE).clamp(min=0).mean(),
        -FAKE.mean(),
    ),
    (Wasserstein(d_weight=1.0), FAKE.mean() - REAL.mean(), -FAKE.mean()),
    (Relativistic(), -log_sigmoid(REAL - FAKE).mean(), -log_sigmoid(FAKE - REAL).mean()),
]


@pytest.mark.parametrize(("loss", "d", "g"), EXPECTED)
def test_losses_are_the_papers(loss: Loss, d: Tensor, g: Tensor) -> None:
    torch.testing.assert_close(loss.d(REAL, FAKE), d)
    torch.testing.assert_close(loss.g(FAKE, REAL if loss.pairs else None), g)


@pytest.mark.parametrize("loss", [loss for loss, _, _ in EXPECTED])
def test_gradients_of_losses_have_the_right_signs(loss: Loss) -> None:
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    assert torch.autograd.gradcheck(loss.d, (real, fake))
    assert torch.autograd.gradcheck(lambda f: loss.g(f, REAL), (fake,))
    on_real, on_fake = torch.autograd.grad(loss.d(real, fake), (real, fake))
    (of_g,) = torch.autograd.grad(loss.g(fake, REAL), fake)
    below_1 = real < 1  # least squares and hinge are content beyond
    assert (on_real[below_1] < 0).all()  # D raises real scores ...
    assert (on_fake[fake > 0] > 0).all()  # ... and lowers generated ones,
    assert (of_g[fake < 1] < 0).all()  # which G raises


def test_rejected_data_count_as_generated() -> None:
    for loss, expected in (
        (NonSaturating(d_weight=0.5), -0.5 * log_sigmoid(-FAKE).mean()),
        (LeastSquares(d_weight=0.5, g_weight=1.0), 0.5 * (FAKE**2).mean()),
        (Hinge(d_weight=1.0), (1 + FAKE).clamp(min=0).mean()),
    ):
        torch.testing.assert_close(loss.d_rejects(FAKE, REAL), expected)
    wasserstein = Wasserstein(d_weight=0.5).d_rejects(FAKE, REAL)
    torch.testing.assert_close(wasserstein, 0.5 * (FAKE.mean() - REAL.mean()))
    torch.testing.assert_close(
        Relativistic().d_rejects(FAKE, REAL), -log_sigmoid(REAL - FAKE).mean()
    )


@pytest.mark.parametrize("loss", [loss for loss, _, _ in EXPECTED])
@pytest.mark.parametrize("weight", [0.5, 1.0, 3.0])
def test_a_shift_of_d_gains_nothing_without_bound(loss: Loss, weight: float) -> None:
    """With the third term too: either only differences count, or a far shift only costs."""
    wrong = FAKE.flip(0) + 0.3

    def d_loss(shift: float) -> Tensor:
        third = loss.d_rejects(wrong + shift, REAL + shift)
        return loss.d(REAL + shift, FAKE + shift) + weight * third

    if isinstance(loss, Wasserstein | Relativistic):
        for shift in (-100.0, -1.0, 2.5, 100.0):
            torch.testing.assert_close(d_loss(shift), d_loss(0.0))
    else:
        assert d_loss(100.0) > d_loss(0.0)
        assert d_loss(-100.0) > d_loss(0.0)


def test_smoothing_is_one_sided() -> None:
    smooth, plain = NonSaturating(d_weight=1.0), NonSaturating(d_weight=1.0)
    smooth.smooth(0.9)
    expected = -(0.9 * log_sigmoid(REAL) + 0.1 * log_sigmoid(-REAL)).mean()
    torch.testing.assert_close(smooth.real_term(REAL), expected)
    torch.testing.assert_close(smooth.fake_term(FAKE), plain.fake_term(FAKE))
    torch.testing.assert_close(smooth.g(FAKE), plain.g(FAKE))
    least = LeastSquares(d_weight=1.0, g_weight=1.0)
    least.smooth(0.9)
    torch.testing.assert_close(least.real_term(REAL), ((REAL - 0.9) ** 2).mean())
    for loss in (Hinge(d_weight=1.0), Wasserstein(d_weight=1.0), Relativistic()):
        with pytest.raises(ValueError, match="no target"):
            loss.smooth(0.9)


def critic(x: Tensor) -> Tensor:
    """D(x) = x' diag(1..n) x / 2, whose gradient is diag(1..n) x."""
    scale = torch.arange(1, x[0].numel() + 1, dtype=x.dtype)
    return 0.5 * (scale * x.flatten(1) ** 2).sum(dim=1)


def test_penalties_of_a_quadratic() -> None:
    real = torch.randn(5, 3, dtype=torch.float64)
    fake = torch.randn(5, 3, dtype=torch.float64)
    scale = torch.arange(1, 4, dtype=torch.float64)
    settings = {"weight": 1.0, "interval": 1}
    rng = generator_for(0, "test")
    torch.testing.assert_close(
        R1(**settings)(critic, real, fake, generator=rng),
        0.5 * ((scale * real) ** 2).sum(dim=1).mean(),
    )
    torch.testing.assert_close(
        R2(**settings)(critic, real, fake, generator=rng),
        0.5 * ((scale * fake) ** 2).sum(dim=1).mean(),
    )
    found = GradientPenalty(**settings)(critic, real, fake, generator=generator_for(1, "t"))
    t = torch.rand(5, generator=generator_for(1, "t")).view(5, 1)
    between = t * real + (1 - t) * fake
    expected = (((scale * between).norm(dim=1) - 1) ** 2).mean()
    torch.testing.assert_close(found, expected)

    def slope_one(x: Tensor) -> Tensor:
        return x.sum(dim=1) / math.sqrt(3)

    nothing = GradientPenalty(**settings)(slope_one, real, fake, generator=rng)
    assert nothing.item() == pytest.approx(0.0, abs=1e-10)


@pytest.mark.parametrize("kind", [R1, R2, GradientPenalty])
def test_penalties_reach_the_weights(kind: type[R1]) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    real, fake = torch.randn(6, 3).double(), torch.randn(6, 3).double()

    def penalty(weight: Tensor) -> Tensor:
        def with_weight(x: Tensor) -> Tensor:
            values = {"0.weight": weight}
            y: Tensor = torch.func.functional_call(network, values, (x,))
            return y.squeeze(1)

        return kind(weight=1.0, interval=1)(
            with_weight, real, fake, generator=generator_for(0, "test")
        )

    weight = network[0].weight.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(penalty, (weight,))


def test_clipping() -> None:
    network = nn.Linear(50, 50)
    network.bias.requires_grad_(False).fill_(5.0)
    WeightClipping(limit=0.01).clip(network)
    assert network.weight.abs().max().item() == pytest.approx(0.01)
    assert (network.bias == 5.0).all()  # not D's to move


def test_instance_noise_fades() -> None:
    x, rng = torch.zeros(4000, 2), generator_for(0, "test")
    noise = InstanceNoise(std=0.5, decay_steps=100)
    assert noise(x, step=0, generator=rng, value_range=None).std().item() == pytest.approx(
        0.5, rel=0.05
    )
    assert noise(x, step=50, generator=rng, value_range=None).std().item() == pytest.approx(
        0.25, rel=0.05
    )
    assert torch.equal(noise(x, step=100, generator=rng, value_range=None), x)
    kept = InstanceNoise(std=0.5, decay_steps=None)
    assert kept(x, step=10**6, generator=rng, value_range=None).std().item() == pytest.approx(
        0.5, rel=0.05
    )


def test_diffaugment_does_the_same_in_any_range() -> None:
    view = DiffAugment(policy=["color", "translation", "cutout"])
    x = torch.rand(5, 3, 8, 8)
    unit = view(x, step=0, generator=generator_for(0, "t"), value_range=(0.0, 1.0))
    signed = view(2 * x - 1, step=0, generator=generator_for(0, "t"), value_range=(-1.0, 1.0))
    torch.testing.assert_close(2 * unit - 1, signed)


def numbers(*values: float) -> Tensor:
    return torch.tensor(values)


def test_color() -> None:
    x = torch.rand(2, 3, 4, 4)
    half = numbers(0.5, 0.5)
    torch.testing.assert_close(change_color(x, half, half, half), x)  # the middle changes nothing
    brighter = change_color(x, numbers(1.0, 0.0), half, half)
    torch.testing.assert_close(
        brighter - x, torch.tensor([0.5, -0.5]).view(2, 1, 1, 1).expand_as(x)
    )
    gray = change_color(x, half, numbers(0.0, 0.0), half)
    torch.testing.assert_close(gray, x.mean(dim=1, keepdim=True).expand_as(x))
    flat = change_color(x, half, half, numbers(0.0, 0.5))
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    torch.testing.assert_close(flat[0] - mean[0], 0.5 * (x - mean)[0])


def test_translation_shifts_and_fills_with_0() -> None:
    x = torch.arange(1, 65).float().view(1, 1, 8, 8)
    torch.testing.assert_close(translate(x, numbers(0.5), numbers(0.5)), x)
    down = translate(x, numbers(0.99), numbers(0.5))  # by 1/8 of 8 pixels
    torch.testing.assert_close(down[:, :, :-1], x[:, :, 1:])
    assert (down[:, :, -1] == 0).all()
    right = translate(x, numbers(0.5), numbers(0.0))
    torch.testing.assert_close(right[..., 1:], x[..., :-1])
    assert (right[..., 0] == 0).all()


def test_cutout_cuts_half_of_each_side() -> None:
    x = torch.ones(1, 2, 8, 12)
    cut = cut_out(x, numbers(0.5), numbers(0.5))
    assert (cut == 0).sum() == 2 * 4 * 6
    assert (cut[0, :, 2:6, 3:9] == 0).all()
    assert (cut_out(x, numbers(0.0), numbers(0.0)) == 0).sum() == 2 * 2 * 3  # a corner


def test_diffaugment_is_differentiable_and_each_image_gets_its_own() -> None:
    view = DiffAugment(policy=["color", "translation", "cutout"])
    x = torch.rand(6, 3, 16, 16, requires_grad=True)
    y = view(x, step=0, generator=generator_for(0, "test"), value_range=(-1.0, 1.0))
    assert y.shape == x.shape
    y.sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert (x.grad != 0).any(dim=(1, 2, 3)).all()
    changed = view(
        torch.ones(4, 3, 16, 16),
        step=0,
        generator=generator_for(1, "test"),
        value_range=(-1.0, 1.0),
    )
    assert len({tuple(image.flatten().tolist()) for image in changed}) == 4
    with pytest.raises(ValueError, match="policy"):
        DiffAugment(policy=["zoom"])  # type: ignore[list-item]


PLAIN, NORMED = nn.Linear(2, 1), nn.Sequential(nn.BatchNorm2d(2))
BOUNDED = nn.utils.parametrizations.spectral_norm(nn.Linear(2, 1))
CLIP, GP = WeightClipping(limit=0.01), GradientPenalty(weight=10.0, interval=1)
SMOOTH, AUGMENT = LabelSmoothing(target=0.9), DiffAugment(policy=["color"])


@pytest.mark.parametrize(
    ("chosen", "loss", "network", "words"),
    [
        ([CLIP, GP], Wasserstein(d_weight=1.0), PLAIN, "both bound D's slope"),
        ([CLIP], Wasserstein(d_weight=1.0), BOUNDED, "divides by the norm"),
        ([GP], Minimax(d_weight=1.0), NORMED, "batch norm"),
        ([SMOOTH], Wasserstein(d_weight=1.0), PLAIN, "no target"),
        ([AUGMENT], Minimax(d_weight=1.0), PLAIN, "points"),
        ([Regularizer()], Minimax(d_weight=1.0), PLAIN, "must inherit from Penalty or View"),
    ],
)
def test_what_makes_no_sense_is_refused(
    chosen: list[Regularizer], loss: Loss, network: nn.Module, words: str
) -> None:
    (problem,) = conflicts(chosen, loss=loss, discriminator=network, images=False)
    assert words in str(problem)


def test_an_unbounded_critic_is_noticed() -> None:
    loss = Wasserstein(d_weight=1.0)
    assert is_unbounded([], loss=loss, discriminator=PLAIN)
    for chosen, network in (([CLIP], PLAIN), ([GP], PLAIN), ([], BOUNDED)):
        assert not is_unbounded(chosen, loss=loss, discriminator=network)
    assert not is_unbounded([], loss=Hinge(d_weight=1.0), discriminator=PLAIN)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: R1(weight=0.0, interval=1), "weight=0"),
        (lambda: R1(weight=1.0, interval=0), "interval=0"),
        (lambda: WeightClipping(limit=-1.0), "limit=-1"),
        (lambda: LabelSmoothing(target=1.0), "target=1"),
        (lambda: InstanceNoise(std=0.0, decay_steps=1), "std=0"),
        (lambda: LeastSquares(d_weight=1.0, g_weight=0.0), "g_weight=0"),
    ],
)
def test_bad_numbers_are_refused(make: Any, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        make()
