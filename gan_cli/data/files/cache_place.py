"""Where caches of decoded images lie, and how much room they may take."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from pathlib import Path

import platformdirs

from gan_cli.errors import Problem, UserError

LIMIT = "GAN_TRAIN_CACHE_GB"


def cache_folder() -> Path:
    """Where caches lie: $GAN_TRAIN_CACHE, the user's cache folder, or else a temporary folder."""
    if given := os.environ.get("GAN_TRAIN_CACHE"):
        return Path(os.path.expanduser(given))  # noqa: PTH111  (Path's fails without a home)
    folder = users_folder()
    return temporary_folder() if folder is None else folder


def users_folder() -> Path | None:
    """The user's cache folder; None: there is no home, or nothing can be written there."""
    try:
        folder = platformdirs.user_cache_path("gan-train")
        if str(folder).startswith("~"):  # no home, and the user has no entry in passwd
            return None
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return folder if os.access(folder, os.W_OK) else None


def temporary_folder() -> Path:
    """A folder of this user alone, for those without a home."""
    user = os.getuid() if hasattr(os, "getuid") else "user"
    folder = Path(tempfile.gettempdir()) / f"gan-train-{user}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def folder_note() -> str | None:
    """That caches lie in a temporary folder; None: they do not."""
    if os.environ.get("GAN_TRAIN_CACHE") or users_folder() is not None:
        return None
    return (
        f"there is no home folder to write to, so the cache lies in {cache_folder()}, which may be "
        "emptied. GAN_TRAIN_CACHE=FOLDER gives it another place."
    )


def limit_bytes() -> float:
    """How many bytes all caches of images together may take: $GAN_TRAIN_CACHE_GB; else any number.

    Raises:
        UserError: it is no number.
    """
    text = os.environ.get(LIMIT, "").strip()
    if not text:
        return math.inf
    try:
        gigabytes = float(text)
    except ValueError:
        gigabytes = math.nan
    if not gigabytes >= 0:
        advice = "give a number of gigabytes, or leave it out for no limit"
        raise UserError(Problem(LIMIT, text, advice, is_full=True))
    return gigabytes * 1e9


def prune(parent: Path, *, keep: Path, limit: float) -> None:
    """Remove caches, the least recently used first, until all take at most `limit` bytes.

    A run that has mapped one keeps it.

    Args:
        parent: holds the caches.
        keep: the one that stays.
        limit: in bytes.
    """
    if math.isinf(limit):
        return
    caches = []
    for folder in parent.iterdir():
        try:
            if folder.is_dir() and folder.suffix != ".partial":
                size = sum(file.stat().st_size for file in folder.iterdir())
                caches.append((folder.stat().st_mtime, size, folder))
        except OSError:  # another run has just removed it
            continue
    total = sum(size for _, size, _ in caches)
    for _, size, folder in sorted(caches):
        if total <= limit:
            return
        if folder != keep:
            shutil.rmtree(folder, ignore_errors=True)
            total -= size
