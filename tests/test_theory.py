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
    small = ["data.batch_size=32", "steps=6", "log_every=2", "sample_every=0", "threads=1"]
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
