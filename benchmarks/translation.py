"""Score a CycleGAN trained on data=digit_domains against the known truth, both ways.

    python benchmarks/translation.py outputs/cyclegan-digit_domains-1

Error is the mean absolute difference to the digit in its other look, pixels in [0, 1], on the 397
paired test digits; beside it stands that of the identity mapping (gray repeated over the channels
one way, channels averaged the other). Agreement is the share of translated digits that a support
vector machine, fitted to the real training digits of the target domain, takes for what they are.
"""

from __future__ import annotations

import argparse
import json

from sklearn.svm import SVC
from torch import Tensor

import gan_cli
from gan_cli.build import make
from gan_cli.data.base import Dataset, PairDataset
from gan_cli.data.pairs import DigitDomains


def unit(x: Tensor, dataset: Dataset) -> Tensor:
    """Pixels in the data's range -> [0, 1]."""
    assert isinstance(dataset.spec.value_range, tuple)
    low, high = dataset.spec.value_range
    return (x - low) / (high - low)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    run = gan_cli.load(parser.parse_args().run)
    source: DigitDomains = make(run.config, "data")
    training: PairDataset = source.load(seed=0, progress=lambda *_: None)
    test_a, test_b = source.pairs()
    scores: dict[str, float | int] = {"step": run.step, "pairs": len(test_a)}
    for direction, given, truth, real in (
        ("a2b", test_a, test_b, training.b),
        ("b2a", test_b, test_a, training.a),
    ):
        x = given.first(len(given))
        y = unit(truth.first(len(truth)), truth)
        found = unit(run.translate(x, direction), truth)
        same = unit(x, given).mean(dim=1, keepdim=True).expand_as(y)
        scores[f"error_{direction}"] = (found - y).abs().mean().item()
        scores[f"identity_{direction}"] = (same - y).abs().mean().item()
        assert real.labels is not None
        assert truth.labels is not None
        classifier = SVC().fit(unit(real.first(len(real)), real).flatten(1).numpy(), real.labels)
        labels = truth.labels.numpy()
        scores[f"agreement_{direction}"] = float(classifier.score(found.flatten(1), labels))
        scores[f"agreement_real_{direction[2]}"] = float(classifier.score(y.flatten(1), labels))
    print(json.dumps(scores, indent=1))


if __name__ == "__main__":
    main()
