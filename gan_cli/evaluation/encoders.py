"""What turns images into features: a classifier of the data at hand, or Inception."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

from gan_cli.data.base import Dataset, Progress
from gan_cli.errors import Problem, UserError
from gan_cli.evaluation.cache import cached, identity
from gan_cli.seeding import generator_for
from gan_cli.system.stopping import polled
from gan_cli.training.optimizers import light

LARGEST = 32  # pixels of the longer side that the classifier sees
SMALLEST = 7  # pixels where it stops halving
WIDTH, FEATURES = 32, 128
STEPS, BATCH, RATE = 1000, 128, 0.004
HELD_OUT = 5  # one datum in so many tests the classifier, where there is no test split
CHUNK = 500  # images seen at once
VERSION = 1  # of the classifier and its training
INCEPTION_SIDE, INCEPTION_FEATURES = 32, 2048
#: What a tool of ours asks for to fetch Inception's weights.
DOWNLOAD = "download"


class Encoder(Protocol):
    """Images -> features."""

    #: What its cached features are called by; other features, another key.
    key: str

    def __call__(self, x: Tensor) -> Tensor:
        """Images in [0, 1], (n, C, H, W), on any device -> float32 features (n, d) on the CPU."""


class ClassifierNetwork(nn.Module):
    """A small convolutional network; its last hidden layer is the feature vector."""

    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        channels, height, width = shape
        scale = min(1.0, LARGEST / max(height, width))
        self.size = max(2, round(height * scale)), max(2, round(width * scale))
        layers: list[nn.Module] = []
        side, area, inputs, outputs = min(self.size), self.size, channels, WIDTH
        while True:
            layers += [
                nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
            ]
            if side <= SMALLEST:
                break
            layers.append(nn.MaxPool2d(2))
            side, area = side // 2, (area[0] // 2, area[1] // 2)
            inputs, outputs = outputs, 2 * outputs
        self.features = nn.Sequential(
            *layers,
            nn.Flatten(),
            nn.Linear(outputs * area[0] * area[1], FEATURES, bias=False),
            nn.BatchNorm1d(FEATURES),
            nn.ReLU(),
        )
        self.head = nn.Sequential(nn.Dropout(0.25), nn.Linear(FEATURES, classes))

    def encode(self, x: Tensor) -> Tensor:
        """Images in [0, 1] -> features (n, 128)."""
        if x.shape[2:] != self.size:
            x = interpolate(x, self.size, mode="bilinear", antialias=True, align_corners=False)
        features: Tensor = self.features(2 * x - 1)
        return features

    def forward(self, x: Tensor) -> Tensor:
        """Images in [0, 1] -> logits (n, classes)."""
        logits: Tensor = self.head(self.encode(x))
        return logits


class Classifier:
    """A classifier trained on real data, with its accuracy on others.

    Attributes:
        accuracy: on real data it was not trained with.
        judged_on: how many those were.
    """

    def __init__(
        self, network: ClassifierNetwork, *, accuracy: float, judged_on: int, key: str
    ) -> None:
        self.network, self.key = network.eval(), key
        self.accuracy, self.judged_on = accuracy, judged_on

    def __call__(self, x: Tensor) -> Tensor:
        """Images in [0, 1] -> features, float32 (n, 128) on the CPU."""
        return in_chunks(self.network.encode, x, device=self.device)

    def predict(self, x: Tensor) -> Tensor:
        """Images in [0, 1] -> the likeliest class, int64 (n,) on the CPU."""
        return in_chunks(self.network, x, device=self.device).argmax(dim=1)

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return next(self.network.parameters()).device


@torch.no_grad()
def in_chunks(encode: Callable[[Tensor], Tensor], x: Tensor, *, device: torch.device) -> Tensor:
    """`encode` of many images, a few at a time; on the CPU."""
    return torch.cat([encode(part.to(device)).float().cpu() for part in polled(x.split(CHUNK))])


def classifier_of(
    train: Dataset, test: Dataset | None, *, device: torch.device, progress: Progress
) -> Classifier:
    """The classifier of a labelled data set, from the cache or trained now and put there.

    Without test data, it learns from four fifths of the training data and is tested on the rest.
    """
    if test is None:
        train, test = train.split(max(1, len(train) // HELD_OUT), mixed=True)
    shape, classes = train.spec.shape, train.spec.classes
    key = identity("classifier", VERSION, train, test)

    def make() -> dict[str, Any]:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(0)
            network = ClassifierNetwork(shape, classes).to(device)
            fit(network, train, device=device, progress=progress)
        trained = Classifier(network, accuracy=0.0, judged_on=0, key=key)
        right = []
        for places in torch.arange(len(test)).split(10 * CHUNK):
            x, labels = test.take(places)
            assert labels is not None
            right.append(trained.predict(test.spec.to_unit(x)).eq(labels))
        hits = torch.cat(right)
        return {
            "network": {name: value.cpu() for name, value in network.state_dict().items()},
            "accuracy": hits.double().mean().item(),
            "judged_on": len(hits),
        }

    network = ClassifierNetwork(shape, classes)
    state = cached(
        f"classifier-{key}",
        make,
        keys=("network", "accuracy", "judged_on"),
        check=lambda stored: network.load_state_dict(stored["network"]),
    )
    network.load_state_dict(state["network"])
    return Classifier(
        network.to(device), accuracy=state["accuracy"], judged_on=state["judged_on"], key=key
    )


def fit(
    network: ClassifierNetwork, train: Dataset, *, device: torch.device, progress: Progress
) -> None:
    """Train with Adam and one cycle of the learning rate (Smith & Topin 2018)."""
    network.train()
    optimizer = light(torch.optim.Adam)(network.parameters(), lr=RATE, weight_decay=1e-4)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=STEPS)
    generator = generator_for(0, "classifier")
    for step in range(STEPS):
        x, labels = train.take(torch.randint(len(train), (BATCH,), generator=generator))
        assert labels is not None
        loss = cross_entropy(network(train.spec.to_unit(x).to(device)), labels.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rates.step()
        progress("training a classifier of the data (once)", step + 1, STEPS)
    network.eval()


class Inception:
    """The Inception network whose features FID is defined by (Heusel et al. 2017)."""

    def __init__(self, weights: str, *, device: torch.device) -> None:
        """Load it.

        Args:
            weights: path of the weights, or `download` to have torch-fidelity fetch them.
            device: where it runs.

        Raises:
            UserError: torch-fidelity is not installed, or the weights cannot be had.
        """
        if problem := inception_problem(weights):
            raise UserError(problem)
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        try:
            self.network = FeatureExtractorInceptionV3(
                "inception-v3-compat",
                [str(INCEPTION_FEATURES)],
                feature_extractor_weights_path=safe_weights(weights),
            ).to(device)
        except Exception as error:  # of the network, the file or its content
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            advice = (
                f"the weights cannot be loaded ({reason}). They are "
                "pt_inception-2015-12-05-6726825d.pth of torch-fidelity's releases."
            )
            raise UserError(Problem("inception", weights, advice)) from error
        self.key, self.device = identity("inception", 1, weights), device

    def __call__(self, x: Tensor) -> Tensor:
        """RGB images in [0, 1], rounded to bytes as in files -> features (n, 2048)."""

        def encode(part: Tensor) -> Tensor:
            features: Tensor = self.network((part * 255).round().to(torch.uint8))[0]
            return features

        return in_chunks(encode, x, device=self.device)


def safe_weights(weights: str) -> io.BytesIO:
    """A file's weights, or those of torch-fidelity's release, written anew without anything else.

    torch-fidelity unpickles what it is given, which runs the code in it. Here nothing but tensors
    is read, and what torch-fidelity gets is ours.

    Raises:
        Exception: they cannot be fetched, or hold something else.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    if weights == DOWNLOAD:
        state = torch.hub.load_state_dict_from_url(
            URL_INCEPTION_V3, map_location="cpu", weights_only=True
        )
    else:
        file = Path(weights).expanduser()
        state = torch.load(file, map_location="cpu", weights_only=True)
    is_plain = isinstance(state, dict) and all(isinstance(x, Tensor) for x in state.values())
    if not is_plain:
        raise ValueError("not a dict of tensors")
    rewritten = io.BytesIO()
    torch.save({str(name): value for name, value in state.items()}, rewritten)
    rewritten.seek(0)
    return rewritten


def inception_problem(weights: str) -> Problem | None:
    """Why Inception cannot be had, or None."""
    if importlib.util.find_spec("torch_fidelity") is None:
        return Problem("inception", weights, "needs torch-fidelity: pip install 'gan-train[fid]'")
    if weights != DOWNLOAD and not Path(weights).expanduser().is_file():
        advice = f"no such file; give that of the weights, or {DOWNLOAD}"
        return Problem("inception", weights, advice)
    return None
