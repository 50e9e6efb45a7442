"""Measures against closed forms."""

import math

import pytest
import torch
from scipy import integrate, stats

from gan_cli.evaluation.features import frechet_distance, kernel_distance, nearest, neighbourhoods
from gan_cli.evaluation.parzen import SIGMAS, log_likelihoods, parzen
from gan_cli.theory.density import GaussianMixture
from gan_cli.theory.divergence import Cells, jsd, kl, smoothed


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(mean: float, std: float) -> GaussianMixture:
    return GaussianMixture(torch.tensor([[mean]]), torch.tensor([std]))


def test_jsd_of_two_gaussians_is_the_integral() -> None:
    p, q = normal(0.0, 1.0), normal(1.0, 0.7)
    wide = GaussianMixture(torch.tensor([[0.0], [1.0]]), torch.tensor([1.0, 0.7]))
    cells = Cells(wide, bins=20_000)

    def integrand(x: float) -> float:
        a, b = stats.norm.pdf(x, 0, 1), stats.norm.pdf(x, 1, 0.7)
        middle = (a + b) / 2
        return float(0.5 * a * math.log(a / middle) + 0.5 * b * math.log(b / middle))

    exact, _ = integrate.quad(integrand, -6.0, 6.0)
    assert jsd(cells.masses(p), cells.masses(q)) == pytest.approx(exact, rel=1e-5)
    exact_kl = math.log(0.7 / 1) + (1 + 1) / (2 * 0.49) - 0.5
    inside = cells.masses(p)[:-1], cells.masses(q)[:-1]
    assert kl(*inside) == pytest.approx(exact_kl, rel=1e-4)


def test_jsd_lies_between_0_and_log_2() -> None:
    p = torch.tensor([0.5, 0.5, 0.0, 0.0], dtype=torch.float64)
    assert jsd(p, p) == 0
    assert jsd(p, p.flip(0)) == pytest.approx(math.log(2), abs=1e-15)
    assert kl(p, p.flip(0)) == math.inf
    hair = torch.tensor([1.0, 5e-324], dtype=torch.float64)  # half of it is 0
    assert jsd(hair, hair.flip(0)) == pytest.approx(math.log(2))


@pytest.mark.parametrize("dim", [1, 2])
def test_masses_are_what_samples_show(dim: int) -> None:
    means = torch.tensor([[-1.0, 0.5], [2.0, 0.0]])[:, :dim]
    density = GaussianMixture(means, torch.tensor([0.5, 0.2]), torch.tensor([1.0, 3.0]))
    cells = Cells(density, bins=30)
    masses = cells.masses(density)
    assert masses.sum().item() == pytest.approx(1.0, abs=1e-12)
    n = 400_000
    x, _ = density.sample(n, generator=rng())
    shares = cells.shares(x)
    assert shares.sum().item() == pytest.approx(1.0, abs=1e-12)
    spread = (masses * (1 - masses) / n).sqrt()
    assert ((shares - masses).abs() <= 5 * spread + 1e-5).all()
    # The estimator's own floor: about (cells that matter - 1) / (8 n).
    assert 0 < jsd(masses, shares) < len(masses) / (8 * n)
    inside = density.log_prob(cells.centres).exp() * cells.area
    assert (inside - masses[:-1]).abs().max() < 0.03


def test_points_outside_are_counted_and_nothing_is_lost() -> None:
    cells = Cells(normal(0.0, 1.0), bins=10)
    x = torch.tensor([[-1e9], [1e9], [math.nan], [math.inf], [0.1]])
    shares = cells.shares(x)
    assert shares[-1].item() == pytest.approx(0.8)
    assert shares.sum().item() == pytest.approx(1.0)
    assert (smoothed(shares, 5) > 0).all()
    with pytest.raises(ValueError, match="dim=3"):
        Cells(GaussianMixture(torch.zeros(1, 3), torch.ones(1)))


def test_parzen_is_the_logarithm_of_the_mean_density() -> None:
    samples = torch.randn(40, 3, generator=rng(1)).double()
    x = torch.randn(2500, 3, generator=rng(2)).double()
    found = log_likelihoods(x, samples, 0.3)
    density = torch.zeros(len(x), dtype=torch.float64)
    for centre in samples:
        density += torch.tensor(stats.multivariate_normal.pdf(x, centre, 0.09))
    torch.testing.assert_close(found, (density / len(samples)).log(), atol=1e-10, rtol=1e-10)


def test_parzen_of_a_gaussian_nears_its_entropy() -> None:
    """Enough samples and the right window: minus the entropy of N(0, 1 + sigma^2), nearly."""
    samples, validation, test = (
        torch.randn(n, 1, generator=rng(seed)) for seed, n in enumerate((6000, 500, 2000))
    )
    result = parzen(samples, validation=validation, test=test)
    assert result.sigma in SIGMAS[:6]
    entropy = 0.5 * math.log(2 * math.pi * math.e)
    assert result.mean == pytest.approx(-entropy, abs=4 * result.error)
    values = log_likelihoods(test, samples, result.sigma)
    assert result.error == pytest.approx(values.std().item() / math.sqrt(2000))


def test_frechet_distance_of_two_gaussians() -> None:
    a, b = torch.randn(2, 3000, 5, generator=rng()).double()
    mix = torch.randn(5, 5, generator=rng(1)).double()
    b = b @ mix + 2.0
    from scipy.linalg import sqrtm

    means = a.mean(0) - b.mean(0)
    c1, c2 = a.T.cov(), b.T.cov()
    exact = means @ means + (c1 + c2 - 2 * torch.tensor(sqrtm((c1 @ c2).numpy()).real)).trace()
    assert frechet_distance(a, b) == pytest.approx(exact.item(), rel=1e-9)
    assert frechet_distance(a, a) == pytest.approx(0.0, abs=1e-9)
    shifted = frechet_distance(a, a + 3.0)
    assert shifted == pytest.approx(5 * 9.0, rel=1e-9)


def test_kernel_distance_is_unbiased() -> None:
    a, b, c = torch.randn(3, 1500, 8, generator=rng())
    mean, error = kernel_distance(a, b)
    assert abs(mean) < 5 * error + 1e-3
    far, _ = kernel_distance(a, c + 1.0)
    assert far > 1.0


def test_neighbourhoods_of_equal_and_of_distant_sets() -> None:
    a, b = torch.randn(2, 800, 4, generator=rng())
    near = neighbourhoods(a, b)
    assert near["precision"] > 0.9
    assert near["recall"] > 0.9
    assert near["density"] == pytest.approx(1.0, abs=0.1)
    assert near["coverage"] == pytest.approx(1 - 0.5**5, abs=0.03)  # Naeem et al. 2020, section 3.2
    assert set(neighbourhoods(a, b + 100).values()) == {0.0}
    half = neighbourhoods(torch.cat([a[:400], a[400:] + 100]), b)  # a mode without samples
    assert half["coverage"] < 0.55
    assert half["precision"] > 0.8


def test_nearest_finds_copies() -> None:
    among = torch.randn(50, 2, 3, generator=rng())
    distances, which = nearest(among[[7, 3]], among)
    assert which.tolist() == [7, 3]
    assert distances.max() < 5e-3
