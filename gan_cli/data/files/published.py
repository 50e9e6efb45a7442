"""The pairs of photo folders that the authors of CycleGAN published (Zhu et al. 2017)."""

from __future__ import annotations

import tempfile
from pathlib import Path

from gan_cli.data.files.download import fetch, missing_files
from gan_cli.errors import Problem, UserError

ADDRESS = "http://efrosgans.eecs.berkeley.edu/cyclegan/datasets/{name}.zip"


def fetch_pair(name: str, root: Path, *, download: bool) -> None:
    """Download a published pair into the folder `root / name`, which is not there yet.

    Args:
        name: of the pair, like horse2zebra.
        root: value of `data.root`.
        download: value of `data.download`.

    Raises:
        UserError: `download` is false, or the download failed.
    """
    address = ADDRESS.format(name=name)

    def explain(reason: str) -> Problem:
        return missing_files(
            reason,
            root=root,
            folder=root / name,
            expected="trainA, trainB, testA, testB",
            address=address,
            instead="data=digit_domains",
        )

    if not download:
        reason = "the photos are not there; data.download=true fetches them (some 100 MB)"
        raise UserError(explain(reason))
    from torchvision.datasets.utils import download_and_extract_archive

    def move_when_complete() -> None:
        root.mkdir(parents=True, exist_ok=True)
        # A download cut short leaves nothing behind.
        with tempfile.TemporaryDirectory(dir=root) as folder:
            download_and_extract_archive(address, folder, remove_finished=True)
            (Path(folder) / name).rename(root / name)

    fetch(move_when_complete, explain=explain)
