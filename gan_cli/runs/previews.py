"""The pictures of a run while it trains, and how diverse its samples are."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gan_cli.data.base import AnyDataset, Dataset, PairDataset
from gan_cli.games.base import Game, Preview
from gan_cli.games.from_noise import FromNoise
from gan_cli.networks.filters import first_filters
from gan_cli.pictures import Picture, draw, draw_filters
from gan_cli.runs.log import FILTERS, SAMPLES
from gan_cli.spec import DataSpec
from gan_cli.training.health import diversity, diversity_within

REFERENCE_POINTS = 4096  # real points plotted beside generated ones
MOST_NUMBERS = 2**24  # in these points together, where they have many dimensions
REAL_SHOWN = 64  # real images on a sheet of their own
REFERENCE_IMAGES = 100  # real images whose diversity is compared with the samples'
MOST_CLASSES, OF_A_CLASS = 20, 10  # compared within their classes, and real data of each


class Previews:
    """Draws what the generators make of fixed inputs, and compares it with real data."""

    def __init__(self, game: Game[Any], dataset: AnyDataset) -> None:
        self.game, self.dataset = game, dataset
        #: Real data to compare with: points are plotted, images compared; empty for two domains.
        self.real = torch.empty(0)
        if not isinstance(dataset, PairDataset):
            points = not dataset.spec.is_image
            most = max(REFERENCE_IMAGES, min(REFERENCE_POINTS, MOST_NUMBERS // dataset.spec.size))
            self.real = dataset.first(most if points else REFERENCE_IMAGES)
        self.real_within = self._real_within()

    def pictures(self, preview: Preview) -> dict[str, Picture]:
        """The preview, and D's first filters if it sees pixels, by folder."""
        pictures = {SAMPLES: self.sheet(preview)}
        if isinstance(self.dataset.spec, DataSpec):
            filters = first_filters(self.game.discriminators, self.dataset.spec)
            if filters is not None:
                pictures[FILTERS] = draw_filters(filters)
        return pictures

    def sheet(self, preview: Preview) -> Picture:
        """The preview alone."""
        return draw(
            preview.samples,
            preview.spec,
            real=self.real,
            columns=preview.columns,
            captions=preview.captions,
            rows=self.row_names(preview),
        )

    def real_sheet(self) -> Picture | None:
        """Real data as the preview shows samples; None for points and for two domains."""
        spec = self.dataset.spec
        if not isinstance(spec, DataSpec) or not spec.is_image or not len(self.real):
            return None
        return draw(self.real[:REAL_SHOWN], spec, real=self.real)

    def row_names(self, preview: Preview) -> list[str]:
        """The classes of a conditional model's rows; empty for other models."""
        game = self.game
        if not isinstance(game, FromNoise) or game.fixed_labels is None or not preview.columns:
            return []
        return [game.spec.name_of(int(label)) for label in game.fixed_labels[:: preview.columns]]

    def diversities(self, preview: Preview) -> dict[str, float]:
        """Mean pairwise distance of generated and of real data, and the modes they reach."""
        sets: dict[str, tuple[Tensor, Tensor]] = {
            f"_{domain}": pair for domain, pair in preview.translations.items()
        }
        if not isinstance(self.dataset, PairDataset):
            sets[""] = preview.samples.float().cpu(), self.real
        scalars = {}
        for suffix, (fake, real) in sets.items():
            if len(fake) > 1 and len(real) > 1:
                scalars[f"diversity/fake{suffix}"] = diversity(fake)
                scalars[f"diversity/real{suffix}"] = diversity(real)
        if self.real_within is not None and self._labels is not None:
            shown = self._labels < MOST_CLASSES
            fake = preview.samples.float().cpu()[shown]
            scalars["diversity/fake_within"] = diversity_within(fake, self._labels[shown])
            scalars["diversity/real_within"] = self.real_within
        if isinstance(self.dataset, Dataset) and self.dataset.density is not None:
            scalars["modes/covered"] = float(self.dataset.density.covered(preview.samples))
            scalars["modes/total"] = float(len(self.dataset.density.means))
        return scalars

    @property
    def _labels(self) -> Tensor | None:
        """The classes of the fixed samples; None: the model takes none."""
        game = self.game
        labels = game.fixed_labels if isinstance(game, FromNoise) else None
        return None if labels is None else labels.cpu()

    def _real_within(self) -> float | None:
        """How much two real data of one class differ; None: the model or the data have no classes.

        A model may look diverse and still make one picture of each class.
        """
        dataset = self.dataset
        if self._labels is None or not isinstance(dataset, Dataset) or dataset.labels is None:
            return None
        labels = dataset.labels if dataset.rows is None else dataset.labels[dataset.rows]
        classes = range(min(dataset.spec.classes, MOST_CLASSES))
        places = [torch.nonzero(labels == label).flatten()[:OF_A_CLASS] for label in classes]
        values, of_class = dataset.take(torch.cat(places))
        assert of_class is not None
        return diversity_within(values, of_class)
