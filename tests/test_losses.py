"""Losses against the papers' closed forms and float64 autograd."""

import math

import pytest
import torch

from gan_cli.losses import Minimax, NonSaturating, jsd_bound, log_odds_scalars, value

REAL = torch.tensor([0.3, -1.2, 2.0, 0.0], dtype=torch.float64)
FAKE = torch.tensor([-0.7, 1.1, 0.4, -2.5], dtype=torch.float64)


def log_d(logits: torch.Tensor) -> torch.Tensor:
    return torch.log(torch.sigmoid(logits))


def log_1_minus_d(logits: torch.Tensor) -> torch.Tensor:
    return torch.log(1 - torch.sigmoid(logits))


@pytest.mark.parametrize("loss", [NonSaturating(d_weight=1.0), Minimax(d_weight=1.0)])
def test_d_descends_minus_v(loss: NonSaturating) -> None:
    expected = -(log_d(REAL).mean() + log_1_minus_d(FAKE).mean())
    torch.testing.assert_close(loss.d(REAL, FAKE), expected)
    torch.testing.assert_close(loss.d(REAL, FAKE), -value(REAL, FAKE))


def test_g_losses_are_the_two_of_the_paper() -> None:
    torch.testing.assert_close(NonSaturating(d_weight=1.0).g(FAKE), -log_d(FAKE).mean())
    torch.testing.assert_close(Minimax(d_weight=1.0).g(FAKE), log_1_minus_d(FAKE).mean())


@pytest.mark.parametrize("loss", [NonSaturating(d_weight=1.0), Minimax(d_weight=1.0)])
def test_gradients(loss: NonSaturating) -> None:
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    assert torch.autograd.gradcheck(loss.d, (real, fake))
    assert torch.autograd.gradcheck(loss.g, (fake,))
    # G always wants D's logit on fakes to rise, D wants it to fall.
    (g_gradient,) = torch.autograd.grad(loss.g(fake), fake)
    (d_gradient,) = torch.autograd.grad(loss.d(real, fake), fake)
    assert (g_gradient < 0).all()
    assert (d_gradient > 0).all()


def test_minimax_saturates_where_non_saturating_does_not() -> None:
    sure = torch.full((4,), -20.0, dtype=torch.float64, requires_grad=True)  # D wins
    (saturating,) = torch.autograd.grad(Minimax(d_weight=1.0).g(sure), sure)
    (strong,) = torch.autograd.grad(NonSaturating(d_weight=1.0).g(sure), sure)
    assert saturating.abs().sum() < 1e-8
    assert strong.abs().sum() == pytest.approx(1.0)


def test_large_logits_stay_finite() -> None:
    far = torch.tensor([1e4, -1e4])
    for loss in (NonSaturating(d_weight=1.0), Minimax(d_weight=1.0)):
        assert torch.isfinite(loss.d(far, far))
        assert torch.isfinite(loss.g(far))


def test_at_equilibrium_v_is_minus_log_4_and_the_bound_0() -> None:
    v = value(torch.zeros(3), torch.zeros(3))
    assert v.item() == pytest.approx(-math.log(4))
    assert jsd_bound(v).item() == pytest.approx(0.0, abs=1e-7)


def test_bound_is_tight_for_the_optimal_discriminator() -> None:
    # Two distributions on two points; D* = p / (p + q), so V(D*, G) = -log 4 + 2 JSD.
    p, q = torch.tensor([0.75, 0.25]).double(), torch.tensor([0.25, 0.75]).double()
    logits = torch.log(p / q)
    real, fake = logits[[0, 0, 0, 1]], logits[[0, 1, 1, 1]]  # draws in exact proportion
    m = (p + q) / 2
    jsd = 0.5 * (p * (p / m).log()).sum() + 0.5 * (q * (q / m).log()).sum()
    scalars = log_odds_scalars(real, fake)
    assert scalars["divergence/jsd_bound"].item() == pytest.approx(jsd.item())
    assert scalars["prob/real"].item() == pytest.approx(0.625)
    assert scalars["prob/fake"].item() == pytest.approx(0.375)


def test_d_weight_scales_d_alone() -> None:
    half, whole = NonSaturating(d_weight=0.5), NonSaturating(d_weight=1.0)
    torch.testing.assert_close(half.d(REAL, FAKE), 0.5 * whole.d(REAL, FAKE))
    torch.testing.assert_close(half.g(FAKE), whole.g(FAKE))
    with pytest.raises(ValueError, match="d_weight=0"):
        Minimax(d_weight=0.0)
