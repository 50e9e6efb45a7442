"""CycleGAN: every term against the paper's formulas, networks, pool, resume, pairs of domains."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from gan_cli.data.base import PairDataset
from gan_cli.data.batches import PairBatches, make_batches
from gan_cli.data.disguise import PAPER, STROKE, disguise
from gan_cli.data.pairs import DigitDomains
from gan_cli.errors import UserError
from gan_cli.games.cyclegan import CycleGAN, ImagePool
from gan_cli.losses import LeastSquares, Loss, Minimax, NonSaturating
from gan_cli.networks.resnet import Discriminator, Generator
from gan_cli.runs import checkpoint
from gan_cli.settings.build import load_data, make
from gan_cli.settings.check import check
from gan_cli.spec import DataSpec, PairBatch, PairSpec
from tests.conftest import Cli
from tests.test_config import composed
from tests.test_resume import assert_same_run

CPU = torch.device("cpu")


def domain(channels: int = 3, height: int = 16, width: int = 16) -> DataSpec:
    return DataSpec((channels, height, width), (-1.0, 1.0))


# --- the formulas -----------------------------------------------------------------------------


class Scale(nn.Module):
    """G(x) = w x + b, and D likewise."""

    def __init__(self, weight: float, bias: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight, dtype=torch.float64))
        self.bias = nn.Parameter(torch.tensor(bias, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x + self.bias


def tiny_game(loss: Loss, *, identity: float = 0.5, pool: int = 0) -> CycleGAN:
    game = CycleGAN(
        nn.ModuleDict({"a2b": Scale(0.9, 0.3), "b2a": Scale(-0.7, 0.2)}),
        nn.ModuleDict({"a": Scale(1.3, -0.4), "b": Scale(-0.8, 0.6)}),
        loss=loss, spec=PairSpec(domain(1), domain(1)), cycle_weight_a=10.0, cycle_weight_b=7.0,
        identity_weight=identity, pool_size=pool,
    )  # fmt: skip
    game.seed_noise(0, device=CPU)
    return game


A = torch.linspace(-1, 1, 12, dtype=torch.float64).view(3, 1, 2, 2)
B = torch.cos(torch.arange(12, dtype=torch.float64)).view(3, 1, 2, 2)


def G(x: Tensor) -> Tensor:
    return 0.9 * x + 0.3


def F(y: Tensor) -> Tensor:
    return -0.7 * y + 0.2


def D_A(x: Tensor) -> Tensor:
    return 1.3 * x - 0.4


def D_B(y: Tensor) -> Tensor:
    return -0.8 * y + 0.6


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-x))


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("at_once", [False, True])
def test_every_term_of_the_least_squares_game(at_once: bool) -> None:
    game = tiny_game(LeastSquares(d_weight=0.5, g_weight=1.0))
    game.in_one_pass = at_once
    loss, scalars = game.g_loss(PairBatch(A, B))
    adversarial = {"a2b": ((D_B(G(A)) - 1) ** 2).mean(), "b2a": ((D_A(F(B)) - 1) ** 2).mean()}
    cycle = {"a": (F(G(A)) - A).abs().mean(), "b": (G(F(B)) - B).abs().mean()}
    identity = {"a": (F(A) - A).abs().mean(), "b": (G(B) - B).abs().mean()}
    for key, value in adversarial.items():
        close(scalars[f"loss/adversarial_{key}"], value)
    for key in "ab":
        close(scalars[f"loss/cycle_{key}"], cycle[key])
        close(scalars[f"loss/identity_{key}"], identity[key])
    close(scalars["loss/cycle"], cycle["a"] + cycle["b"])
    close(scalars["loss/identity"], identity["a"] + identity["b"])
    expected = (
        adversarial["a2b"] + adversarial["b2a"] + 10 * cycle["a"] + 7 * cycle["b"]
        + 0.5 * (10 * identity["a"] + 7 * identity["b"])
    )  # fmt: skip
    close(loss.detach(), expected)

    fresh = tiny_game(LeastSquares(d_weight=0.5, g_weight=1.0))
    loss, scalars = fresh.d_loss(PairBatch(A, B))
    d_a = 0.5 * (((D_A(A) - 1) ** 2).mean() + (D_A(F(B)) ** 2).mean())
    d_b = 0.5 * (((D_B(B) - 1) ** 2).mean() + (D_B(G(A)) ** 2).mean())
    close(scalars["loss/d_a"], d_a)
    close(scalars["loss/d_b"], d_b)
    close(loss.detach(), d_a + d_b)
    close(scalars["score/real_b"], D_B(B).mean())
    close(scalars["score/fake"], (D_A(F(B)).mean() + D_B(G(A)).mean()) / 2)


@pytest.mark.parametrize("saturating", [False, True])
def test_every_term_of_the_log_game(saturating: bool) -> None:
    loss_kind = (Minimax if saturating else NonSaturating)(d_weight=1.0)
    game = tiny_game(loss_kind, identity=0.0)
    loss, scalars = game.d_loss(PairBatch(A, B))
    v_a = torch.log(sigmoid(D_A(A))).mean() + torch.log(1 - sigmoid(D_A(F(B)))).mean()
    v_b = torch.log(sigmoid(D_B(B))).mean() + torch.log(1 - sigmoid(D_B(G(A)))).mean()
    close(loss.detach(), -(v_a + v_b))  # both ascend their V (equation 1)
    close(scalars["value_a"], v_a)
    close(scalars["prob/real_b"], sigmoid(D_B(B)).mean())
    _, scalars = game.g_loss(PairBatch(A, B))
    p_b, p_a = sigmoid(D_B(G(A))), sigmoid(D_A(F(B)))
    on_b = torch.log(1 - p_b).mean() if saturating else -torch.log(p_b).mean()
    on_a = torch.log(1 - p_a).mean() if saturating else -torch.log(p_a).mean()
    close(scalars["loss/adversarial_a2b"], on_b)
    close(scalars["loss/adversarial_b2a"], on_a)
    assert "loss/identity" not in scalars


def test_gradients_reach_both_generators_through_the_cycles() -> None:
    game = tiny_game(LeastSquares(d_weight=0.5, g_weight=1.0), identity=0.0)
    loss, _ = game.g_loss(PairBatch(A, B))
    loss.backward()  # type: ignore[no-untyped-call]
    weights = torch.tensor([0.9, -0.7], dtype=torch.float64, requires_grad=True)
    g = lambda x: weights[0] * x + 0.3  # noqa: E731
    f = lambda y: weights[1] * y + 0.2  # noqa: E731
    expected = (
        ((D_B(g(A)) - 1) ** 2).mean() + ((D_A(f(B)) - 1) ** 2).mean()
        + 10 * (f(g(A)) - A).abs().mean() + 7 * (g(f(B)) - B).abs().mean()
    )  # fmt: skip
    expected.backward()
    found = torch.stack([game.generator[key].weight.grad for key in ("a2b", "b2a")])  # type: ignore[union-attr]
    torch.testing.assert_close(found, weights.grad)


def test_d_judges_the_fakes_of_gs_last_move_then_fresh_ones() -> None:
    game = tiny_game(LeastSquares(d_weight=0.5, g_weight=1.0))
    game.g_loss(PairBatch(A, B))
    with torch.no_grad():
        game.generator["a2b"].bias.add_(5.0)  # type: ignore[union-attr, operator]
    _, scalars = game.d_loss(PairBatch(A, B))
    close(scalars["score/fake_b"], D_B(G(A)).mean())  # made before the bias moved
    _, scalars = game.d_loss(PairBatch(A, B))
    close(scalars["score/fake_b"], D_B(G(A) + 5).mean())


def test_identity_needs_equal_channels() -> None:
    with pytest.raises(UserError, match=r"model\.identity_weight=0\.5.*1 channels and B 3"):
        check(composed("model=cyclegan", "model.identity_weight=0.5"), trusted=True)


# --- pool -------------------------------------------------------------------------------------


def test_of_several_moves_of_g_the_last_ones_fakes_are_judged(cli: Cli) -> None:
    tiny = ["model=cyclegan", "data.image_size=8", "model.width=2", "model.generator.blocks=1",
            "model.discriminator.layers=0", "g_moves=3", "accumulate=2", "data.batch_size=4",
            "checkpoint_every=2", "sample_every=0", "log_every=1", "report=false"]  # fmt: skip
    assert cli(*tiny, "steps=4", "name=whole").code == 0
    assert cli(*tiny, "steps=2", "name=parts").code == 0
    state = checkpoint.read(Path("outputs/parts/checkpoints/step_00000002.pt"))
    made = state["session"]["game"]["_extra_state"]["made"]
    assert len(made) == 2  # a pair of each micro-batch, of the last move
    assert cli("resume=outputs/parts", "steps=4").code == 0
    assert_same_run(Path("outputs/whole"), Path("outputs/parts"))


def test_pool_fills_then_gives_older_fakes_half_of_the_time() -> None:
    pool = ImagePool(50, (1, 1, 1))
    pool.rng.manual_seed(0)
    images = torch.arange(4000.0).view(-1, 1, 1, 1)
    assert torch.equal(pool.exchange(images[:50]), images[:50])  # filling
    given = torch.cat([pool.exchange(part) for part in images[50:].split(1)]).flatten()
    fresh = given == images[50:].flatten()
    assert 0.45 < fresh.float().mean() < 0.55
    assert (given <= images[50:].flatten()).all()
    ages = (images[50:].flatten() - given)[~fresh]
    assert ages.mean().item() == pytest.approx(100, rel=0.15)  # replaced with probability 1/100
    assert torch.equal(ImagePool(0, (1, 1, 1)).exchange(images[:3]), images[:3])


def test_pool_is_part_of_the_state() -> None:
    one, other = ImagePool(4, (1, 1, 1)), ImagePool(4, (1, 1, 1))
    one.exchange(torch.rand(7, 1, 1, 1))
    other.load_state_dict(one.state_dict())
    later = torch.rand(20, 1, 1, 1)
    assert torch.equal(one.exchange(later), other.exchange(later))


# --- networks ---------------------------------------------------------------------------------


def test_networks_are_the_papers() -> None:
    spec = domain(3, 256, 256)
    g = Generator(spec, spec, width=64, blocks="auto", norm="instance")
    d = Discriminator(spec, width=64, layers=3, norm="instance", spectral_norm=False)
    # The authors' code has 11,378,179 and 2,764,737, with biases that instance norm takes away.
    idle_g, idle_d = 64 + 128 + 256 + 9 * 2 * 256 + 128 + 64, 128 + 256 + 512
    assert sum(p.numel() for p in g.parameters()) == 11_378_179 - idle_g
    assert sum(p.numel() for p in d.parameters()) == 2_764_737 - idle_d
    small = Generator(domain(3, 128, 128), spec, width=4, blocks="auto", norm="instance")
    residuals = [m for m in small.layers if type(m).__name__ == "Residual"]
    assert len(residuals) == 6
    weights = torch.cat([p.flatten() for p in d.parameters() if p.dim() > 1])
    assert weights.std().item() == pytest.approx(0.02, rel=0.02)


@pytest.mark.parametrize(("layers", "field"), [(0, 1), (1, 16), (2, 34), (3, 70)])
def test_patches_have_the_size_they_are_known_by(layers: int, field: int) -> None:
    d = Discriminator(domain(1, 128, 128), width=2, layers=layers, norm="none", spectral_norm=False)
    x = torch.randn(1, 1, 128, 128, requires_grad=True)
    logits = d(x)
    middle = logits.shape[2] // 2
    logits[0, 0, middle, middle].backward()
    assert x.grad is not None
    seen = x.grad[0, 0].nonzero()
    extent = seen.max(dim=0)[0] - seen.min(dim=0)[0] + 1
    assert extent.tolist() == [field, field]


@pytest.mark.parametrize("size", [(8, 8), (12, 20), (64, 32)])
def test_generators_keep_any_size(size: tuple[int, int]) -> None:
    g = Generator(domain(1, *size), domain(3, *size), width=2, blocks=1, norm="instance")
    y = g(torch.randn(2, 1, *size))
    assert y.shape == (2, 3, *size)
    assert y.abs().max() <= 1


def test_sizes_that_do_not_fit_are_refused() -> None:
    for overrides, words in (
        (["data.image_size=30"], "multiples of 4"),
        (["data.image_size=4"], "at least 8"),
        (["data.image_size=16"], "Use fewer layers"),
        (["model.generator.blocks=-1"], "blocks=-1"),
        (["model.discriminator.layers=-1"], "layers=-1"),
        (["model.pool_size=-1"], "pool_size=-1"),
        (["data.validation=3"], "data.validation=3: two domains"),
    ):
        with pytest.raises(UserError, match=words):
            check_and_load(composed("model=cyclegan", *overrides))


def check_and_load(config: dict[str, Any]) -> None:
    check(config, trusted=True)
    load_data(config)


def test_models_and_data_must_match() -> None:
    with pytest.raises(UserError, match="translates between two"):
        check(composed("model=cyclegan", "data=digits"), trusted=True)
    with pytest.raises(UserError, match="Use model=cyclegan"):
        check(composed("model=dcgan", "data=digit_domains"), trusted=True)
    notes = check(
        composed("model=cyclegan", "noise.dim=7"), trusted=True, from_command_line=["noise.dim"]
    )
    assert any("noise.dim has no effect" in note for note in notes)


# --- data -------------------------------------------------------------------------------------


def folders(root: Path, counts: dict[str, int], *, size: tuple[int, int] = (20, 24)) -> Path:
    random = np.random.default_rng(0)
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for index in range(count):
            pixels = random.integers(0, 256, (*size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index}.png")
    return root


FOUR = {"trainA": 5, "trainB": 3, "testA": 2, "testB": 4}


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GAN_TRAIN_CACHE", str(tmp_path / "cache"))
    return folders(tmp_path / "photos", FOUR)


def load(*overrides: str) -> PairDataset:
    found = load_data(composed("model=cyclegan", *overrides))
    assert isinstance(found, PairDataset)
    return found


def test_unpaired_folders(pair: Path) -> None:
    data = load("data=unpaired_folders", f"data.root='{pair}'", "data.image_size=16",
                "data.load_size=18")  # fmt: skip
    assert (len(data.a), len(data.b), len(data)) == (5, 3, 5)
    assert data.spec.a.shape == (3, 16, 16)
    assert data.examples is not None
    assert [len(part) for part in data.examples] == [2, 4]
    assert data.examples[0].first(9).shape == (2, 3, 16, 16)
    batches = make_batches(data, 2, seed=0, device=CPU)
    assert isinstance(batches, PairBatches)
    batch = next(batches)
    assert batch.a.shape == batch.b.shape == (2, 3, 16, 16)


@pytest.mark.parametrize("preprocess", ["resize_and_crop", "resize", "crop", "scale_width", "none"])
def test_preprocessing(pair: Path, preprocess: str) -> None:
    data = load(
        "data=unpaired_folders", f"data.root='{pair}'", "data.image_size=[12,16]",
        f"data.preprocess={preprocess}", "data.flip=false", "data.channels_b=1",
        *(["data.load_size=[14,18]"] if preprocess == "resize_and_crop" else []),
    )  # fmt: skip
    assert isinstance(data.a.values, Tensor)
    assert data.spec.b.shape == (1, 12, 16)
    with Image.open(pair / "trainA" / "0.png") as photo:
        resized = np.array(photo.resize((16, 12), Image.Resampling.BICUBIC))
        middle = np.array(photo.crop((4, 4, 20, 16)))
        whole = np.array(photo)
    stored = data.a.values[0].permute(1, 2, 0).numpy()
    if preprocess == "resize":
        assert np.array_equal(stored, resized)
    elif preprocess == "none":
        assert np.array_equal(stored, middle)
    elif preprocess == "crop":  # anew each time, from all of the photo
        assert np.array_equal(stored, whole)
        assert data.a.augment is not None
    assert (data.a.augment is not None) == (preprocess in ("crop", "resize_and_crop"))


def test_any_two_folders(pair: Path) -> None:
    data = load(
        "data=unpaired_folders", f"data.a='{pair / 'testB'}'", f"data.b='{pair / 'trainA'}'",
        "data.image_size=16", "data.preprocess=resize",
    )  # fmt: skip
    assert (len(data.a), len(data.b), data.examples) == (4, 5, None)


def test_missing_folders_show_what_is_there(pair: Path, cli: Cli) -> None:
    (pair / "trainB").rename(pair / "training B")
    result = cli("model=cyclegan", "data=unpaired_folders", f"data.root='{pair}'")
    assert result.code == 2
    for words in ("has no trainB", "training B/ (3 entries)", "ROOT/trainA", "data.a=FOLDER"):
        assert words in result.err
    result = cli("model=cyclegan", "data=unpaired_folders", f"data.a='{pair}'", "data.b=nowhere")
    assert result.code == 2
    assert "data.b=nowhere: no such folder" in result.err
    for overrides, words in (
        (["data.a=x"], "give both folders"),
        (["data.load_size=8", "data.image_size=16"], "data.load_size=8: must be larger"),
        (["data.channels_b=2"], "data.channels_b=2"),
        (["data.download=true"], "only a published pair"),
        (["data.preprocess=resize", "data.load_size=300"], "only preprocess=resize_and_crop"),
        (["data.preprocess=zoom"], "must be one of resize_and_crop"),
    ):
        result = cli("model=cyclegan", "data=unpaired_folders", *overrides)
        assert result.code == 2
        assert words in result.err, result.err


def test_crop_needs_photos_that_are_large_enough(pair: Path) -> None:
    with pytest.raises(UserError, match=r"holds no photo as large as data.image_size=\[32,32\]"):
        load("data=unpaired_folders", f"data.root='{pair}'", "data.preprocess=crop",
             "data.image_size=32")  # fmt: skip


def test_public_pairs(tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    result = cli("model=cyclegan", "data=horse2zebra", f"data.root='{tmp_path}'")
    assert result.code == 2
    for words in ("horse2zebra.zip", "data.download=true", "trainA, trainB, testA, testB"):
        assert words in result.err
    import torchvision.datasets.utils

    asked = []

    def download(url: str, folder: str, **_: object) -> None:
        asked.append(url)
        folders(Path(folder) / "maps", FOUR)

    monkeypatch.setattr(torchvision.datasets.utils, "download_and_extract_archive", download)
    small = ["data.image_size=16", "data.load_size=18"]
    data = load("data=maps", f"data.root='{tmp_path}'", "data.download=true", *small)
    assert asked == ["http://efrosgans.eecs.berkeley.edu/cyclegan/datasets/maps.zip"]
    assert len(data.a) == 5
    load("data=maps", f"data.root='{tmp_path}'", *small)  # there already
    assert len(asked) == 1
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith("tmp")) == []

    def fail(url: str, folder: str, **_: object) -> None:
        raise OSError("no route")

    monkeypatch.setattr(torchvision.datasets.utils, "download_and_extract_archive", fail)
    with pytest.raises(UserError, match=r"the download failed: no route(.|\n)*facades\.zip"):
        load("data=facades", f"data.root='{tmp_path}'", "data.download=true")


def test_digit_domains_are_disjoint_and_the_disguise_can_be_undone() -> None:
    source: DigitDomains = make(composed("model=cyclegan"), "data")
    data = source.load(seed=0, progress=lambda *_: None)
    test = source.load_test(seed=0, progress=lambda *_: None)
    assert test.paired
    test_a, test_b = test.a, test.b
    assert isinstance(test_a.values, Tensor)
    assert isinstance(test_b.values, Tensor)
    assert isinstance(data.a.values, Tensor)
    assert isinstance(data.b.values, Tensor)
    assert (len(data.a), len(data.b), len(test_a), len(test_b)) == (700, 700, 397, 397)
    assert torch.equal(test_b.values, disguise(test_a.values))
    assert test_a.labels is not None
    assert test_b.labels is not None
    assert torch.equal(test_a.labels, test_b.labels)
    red, green, blue = (
        (data.b.values[:, channel].float() / 255 - PAPER[channel])
        / (STROKE[channel] - PAPER[channel])
        for channel in range(3)
    )  # the strength of a stroke can be read from any channel
    for other in (green, blue):
        assert other.sub(red).abs().max() < 0.02
    strokes = {tuple((s * 255).round().int().flatten().tolist()) for s in red}
    gray = {tuple(image.flatten().tolist()) for image in data.a.values}
    tested = {tuple(image.flatten().tolist()) for image in test_a.values}
    assert not strokes & gray
    assert not gray & tested


# --- training ---------------------------------------------------------------------------------

SMALL = ["model=cyclegan", "model.width=4", "model.generator.blocks=1", "threads=1"]


@pytest.mark.parametrize(
    "more",
    [
        ["k=2", "model.pool_size=3"],
        ["ema.decay=0.9", "accumulate=2", "model.pool_size=5", "regularizer=r1", "loss=minimax"],
    ],
)
def test_exact_resume_in_mid_epoch(pair: Path, cli: Cli, more: list[str]) -> None:
    base = [
        *SMALL, *more, "data=unpaired_folders", f"data.root='{pair}'", "data.image_size=16",
        "data.load_size=20", "model.discriminator.layers=1", "model.identity_weight=0.5",
        "data.batch_size=2", "schedule.constant_steps=3", "schedule.decay_steps=6",
        "log_every=2", "sample_every=3", "checkpoint_every=4", "keep_last=10",
    ]  # fmt: skip
    assert cli(*base, "steps=10", "name=whole").code == 0
    assert cli(*base, "steps=5", "name=halves").code == 0
    result = cli("resume=outputs/halves", "steps=10")
    assert result.code == 0, result.err
    assert "may differ" not in result.out
    assert_same_run(Path("outputs/whole"), Path("outputs/halves"))


@pytest.mark.parametrize("loss", ["least_squares", "non_saturating", "minimax", "hinge",
                                  "wasserstein", "relativistic"])  # fmt: skip
def test_losses_and_regularizers_train(cli: Cli, loss: str) -> None:
    result = cli(
        *SMALL, "data.image_size=16", "model.discriminator.layers=1", f"loss={loss}", "steps=2",
        "log_every=1", "regularizer=[gradient_penalty,instance_noise]", "data.batch_size=2",
    )  # fmt: skip
    assert result.code == 0, result.err
    text = Path("outputs/cyclegan-digit_domains-1/metrics.jsonl").read_text()
    for key in ("loss/d_a", "loss/adversarial_b2a", "loss/cycle_a", "penalty/gradient_b"):
        assert key in text
    assert ("prob/real_a" in text) == (loss in ("non_saturating", "minimax"))
    with Image.open("outputs/cyclegan-digit_domains-1/samples/final.png") as sheet:
        assert sheet.width == 6 * 50 + 2


def test_folders_may_move_between_two_sessions(pair: Path, cli: Cli) -> None:
    base = [*SMALL, "data=unpaired_folders", "data.image_size=16", "data.preprocess=resize",
            "model.discriminator.layers=1"]  # fmt: skip
    a, b = pair / "trainA", pair / "trainB"
    assert cli(*base, f"data.a='{a}'", f"data.b='{b}'", "steps=2", "name=m").code == 0
    a, b = a.rename(pair / "x"), b.rename(pair / "y")
    result = cli("resume=outputs/m", "steps=4", f"data.a='{a}'", f"data.b='{b}'")
    assert result.code == 0, result.err


def test_examples_stay_those_of_the_first_session(pair: Path, cli: Cli) -> None:
    base = [
        *SMALL, "data=unpaired_folders", f"data.root='{pair}'", "data.image_size=16",
        "data.preprocess=resize", "model.discriminator.layers=1", "data.cache=false",
    ]  # fmt: skip
    (pair / "trainA" / "0.png").write_bytes(b"no image")
    assert cli(*base, "steps=2", "name=m").code == 0
    for name in ("testA", "testB"):
        (pair / name).rename(pair / f"no {name}")
    result = cli("resume=outputs/m", "steps=4")
    assert result.code == 0, result.err


def test_odd_files_in_folders(pair: Path, cli: Cli) -> None:
    folder = pair / "trainA"
    (folder / "nowhere.png").symlink_to(pair / "gone.png")
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "pipe.png")
    small = ["data.image_size=16", "data.preprocess=resize", "model.discriminator.layers=1"]
    result = cli(*SMALL, "data=unpaired_folders", f"data.root='{pair}'", *small, "steps=1")
    assert result.code == 0, result.err
    assert "nowhere.png" in result.out


@pytest.mark.parametrize(
    "change",
    [
        {"made": [[torch.zeros(1), torch.zeros(1)]]},
        {"moves": {"d": -5, "g": 0}},
        {"penalties": {"x": torch.zeros(3)}},
        {"made": 3},
    ],
)
def test_hostile_states_are_refused(cli: Cli, change: dict[str, Any]) -> None:
    small = ["data.image_size=16", "model.discriminator.layers=1"]
    assert cli(*SMALL, *small, "steps=1", "name=m").code == 0
    path = Path("outputs/m/checkpoints/step_00000001.pt")
    state = checkpoint.read(path)
    state["session"]["game"]["_extra_state"] |= change
    checkpoint.write(path, state)
    result = cli("resume=outputs/m", "steps=2")
    assert result.code == 2
    assert "does not fit its own config" in result.err


def wide(config: dict[str, Any]) -> int:
    width = config["model"]["width"]
    assert isinstance(width, int)
    return width


def test_recipes_compose() -> None:
    paper = composed("experiment=zhu2017_horse2zebra")
    assert (paper["steps"], wide(paper), paper["loss"]["d_weight"]) == (266800, 64, 0.5)
    digits = composed("experiment=cyclegan_digits")
    check(digits, trusted=True)
    default = composed("model=cyclegan", "data=unpaired_folders")
    assert default["schedule"]["decay_steps"] == 100000
    assert default["loss"]["_target_"].endswith("LeastSquares")
    assert composed("model=cyclegan", "loss=minimax")["loss"]["d_weight"] == 0.5
