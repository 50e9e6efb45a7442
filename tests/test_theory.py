"""Proposition 1 and Theorem 1 on games whose answer is known."""

import json
import math
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from gan_cli.games.gan import GAN
from gan_cli.losses import NonSaturating
from gan_cli.noise import Normal
from gan_cli.spec import DataSpec
from gan_cli.theory import measure as theory
from gan_cli.theory.density import GaussianMixture
from gan_cli.theory.divergence import Cells, jsd
from tests.conftest import Cli

CPU = torch.device("cpu")
DATA = GaussianMixture(torch.tensor([[0.0]]), torch.tensor([1.0]))


class Shift(nn.Module):
    """G(z) = scale z + shift, so that p_g is known."""

    def __init__(self, shift: float, scale: float) -> None:
        super().__init__()
        self.shift, self.scale = nn.Parameter(torch.tensor(shift)), scale

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.scale * z + self.shift


class Best(nn.Module):
    """D*: the log-odds of p_data against p_g."""

    def __init__(self, p_g: GaussianMixture) -> None:
        super().__init__()
        self.p_g = p_g

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return (DATA.log_prob(x) - self.p_g.log_prob(x)).float()


def game(shift: float, scale: float, discriminator: nn.Module | None = None) -> GAN:
    p_g = GaussianMixture(torch.tensor([[shift]]), torch.tensor([scale]))
    made = GAN(
        Shift(shift, scale), discriminator or Best(p_g), noise=Normal(1, std=1.0),
        loss=NonSaturating(d_weight=1.0), spec=DataSpec((1,), None),
    )  # fmt: skip
    made.fix_preview(seed=0)
    made.seed_noise(0, device=CPU)
    return made


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (1.0, 0.7), (-3.0, 0.5)])
def test_the_best_d_has_the_value_that_theorem_1_says(shift: float, scale: float) -> None:
    found = theory.measure(game(shift, scale), DATA, refit=False).scalars
    both = GaussianMixture(torch.tensor([[0.0], [shift]]), torch.tensor([1.0, scale]))
    cells = Cells(both, bins=4000)
    p_g = GaussianMixture(torch.tensor([[shift]]), torch.tensor([scale]))
    exact = jsd(cells.masses(DATA), cells.masses(p_g))
    assert found["divergence/jsd"] == pytest.approx(exact, abs=3e-3)
    assert found["value/measured"] == pytest.approx(-math.log(4) + 2 * exact, abs=0.01)
    assert found["value/best"] == pytest.approx(found["value/measured"], abs=0.01)
    assert found["discriminator/error"] < 0.02
    assert found["divergence/jsd"] >= found["divergence/jsd_floor"] * 0.5
    assert found["divergence/jsd_floor"] < 5e-4


class ShiftedRing(nn.Module):
    """G: the density's modes, chosen by the last z, all moved along x; so p_g is known."""

    def __init__(self, density: GaussianMixture, shift: float) -> None:
        super().__init__()
        self.density, self.shift = density, nn.Parameter(torch.tensor([shift, 0.0]))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        modes = len(self.density.means)
        mode = (torch.special.ndtr(z[:, 2].double()) * modes).long().clamp(0, modes - 1)
        x = self.density.means[mode] + self.density.stds[mode, None] * z[:, :2].double()
        return (x + self.shift).float()


class Undecided(nn.Module):
    """D = 1/2."""

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return torch.zeros(len(x))


def ring(std: float = 0.02) -> GaussianMixture:
    angles = torch.arange(8) * (2 * math.pi / 8)
    means = 2 * torch.stack([angles.cos(), angles.sin()], dim=1)
    return GaussianMixture(means, torch.full((8,), std))


@pytest.mark.parametrize(("std", "shift_std"), [(0.02, 0.5), (0.001, 1.0)])
def test_divergences_in_the_plane_resolve_narrow_modes(std: float, shift_std: float) -> None:
    density = ring(std)
    made = GAN(
        ShiftedRing(density, shift_std * std), Undecided(), noise=Normal(3, std=1.0),
        loss=NonSaturating(d_weight=1.0), spec=DataSpec((2,), None),
    )  # fmt: skip
    made.fix_preview(seed=0)
    found = theory.measure(made, density, refit=False).scalars
    # The modes lie far apart, so the JSD is that of two normal distributions on the line.
    x = torch.linspace(-12, 12, 20_001, dtype=torch.float64)
    p, q = (torch.exp(-((x - mean) ** 2) / 2) / math.sqrt(2 * math.pi) for mean in (0, shift_std))
    middle = (p + q) / 2
    exact = torch.trapezoid(p * (p / middle).log() + q * (q / middle).log(), x).item() / 2
    floor = found["divergence/jsd_floor"]
    assert floor <= 0.001
    assert 0.98 * exact <= found["divergence/jsd"] <= exact + floor
    assert found["divergence/cell_std"] == pytest.approx(0.2)
    assert found["divergence/samples"] == 4_000_000
    assert found["value/best"] == pytest.approx(-math.log(4) + 2 * exact, abs=2 * floor)


def test_the_grid_is_fine_near_every_mode_and_stays_small() -> None:
    narrow_and_wide = GaussianMixture(
        torch.tensor([[0.0, 0.0], [5.0, 1.0], [0.0, 0.1]]), torch.tensor([0.01, 1.0, 0.01])
    )
    for density in (ring(), ring(1e-4), narrow_and_wide):
        cells = Cells(density)
        assert cells.cell_std <= 0.2 + 1e-6
        assert all((edges.diff() > 0).all() for edges in cells.edges)
        assert cells.masses(density).sum().item() == pytest.approx(1.0)
        assert cells.count < 2_000_000
    scattered = torch.rand(300, 2, generator=torch.Generator().manual_seed(0))
    cells = Cells(GaussianMixture(scattered, torch.full((300,), 1e-5)))
    assert all(len(edges) < 4096 + 2 * 300 + 2 for edges in cells.edges)
    assert cells.cell_std > 0.2  # and says so
    assert len(Cells(DATA).edges[0]) == 401  # the line is as it was


def test_a_weak_d_is_told_from_a_good_one_by_refitting_it() -> None:
    torch.manual_seed(0)

    class Weak(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 1))
            nn.init.zeros_(self.layers[2].weight)
            nn.init.zeros_(self.layers[2].bias)

        def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
            y: Tensor = self.layers(x)
            return y.squeeze(1)

    made = game(1.0, 1.0, Weak())
    before = {key: value.clone() for key, value in made.state_dict().items() if key[0] != "_"}
    stream, rng = made.rng.get_state(), torch.get_rng_state()
    found = theory.measure(made, DATA).scalars
    assert found["value/measured"] == pytest.approx(-math.log(4), abs=1e-6)  # D = 1/2 everywhere
    assert found["discriminator/error"] > 0.1
    assert found["value/refit_gap"] < 0.01
    assert found["discriminator/error_refitted"] < 0.03
    after = made.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert torch.equal(made.rng.get_state(), stream)
    assert torch.equal(torch.get_rng_state(), rng)


def test_evaluations_are_logged_drawn_and_change_nothing(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(theory, "REFIT_STEPS", 20)
    monkeypatch.setattr(theory, "SAMPLES", 20_000)  # a block
    monkeypatch.setattr(theory, "IN_TRAINING", 30_000)  # one and a half
    narrow = ["model.generator.hidden=[16]", "model.discriminator.hidden=[16]"]
    small = ["data.batch_size=32", "steps=6", "log_every=2", "sample_every=0", "threads=1", *narrow]
    small += ["eval_metrics=[theory]"]
    for data in (["data=mixture_1d", "noise.dim=1", "noise=uniform"], ["data=ring"]):
        name = data[0].removeprefix("data=")
        assert cli(*small, *data, "eval_every=3", f"name={name}").code == 0
        assert cli(*small, *data, "eval_every=0", f"name={name}_not").code == 0
        run = Path("outputs", name)
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines if "divergence/jsd" in line] == [3, 6]
        assert [line["step"] for line in lines] == [2, 3, 4, 6]
        for line in lines:
            assert ("divergence/jsd" in line) == ("divergence/jsd_floor" in line)
        names = {path.name for path in (run / "theory").iterdir()}
        assert names == {"step_00000003.png", "step_00000006.png", "training.gif"}
        with Image.open(run / "theory" / "training.gif") as animation:
            assert animation.n_frames == 2
        weights = [
            torch.load(f"outputs/{n}/checkpoints/step_00000006.pt", weights_only=True)["session"]
            for n in (name, f"{name}_not")
        ]
        for key, value in weights[0]["game"].items():
            if isinstance(value, Tensor):
                assert torch.equal(value, weights[1]["game"][key])
