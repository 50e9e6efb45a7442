"""Where caches of decoded images lie, and how much room they may take."""

from __future__ import annotations

import functools
import math
import os
import re
import shutil
import tempfile
from pathlib import Path

import platformdirs

from gan_cli.errors import Problem, UserError
from gan_cli.system.files import leads_out
from gan_cli.system.terminal import Terminal

LIMIT = "GAN_TRAIN_CACHE_GB"
KEY = re.compile(r"[0-9a-f]{24}")  # what caches of images are called


def cache_folder() -> Path:
    """Where caches lie: $GAN_TRAIN_CACHE, or the user's cache folder.

    A user without a home that can be written to (in a container, say) gets a temporary folder.
    """
    if named := os.environ.get("GAN_TRAIN_CACHE"):
        return Path(os.path.expanduser(named))  # noqa: PTH111  (Path's fails without a home)
    try:
        folder = Path(platformdirs.user_cache_path("gan-train"))
        if not folder.is_absolute():  # it begins with a ~ that stands for nothing
            return temporary_cache("there is no home directory")
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:
        return temporary_cache(str(error))
    if not os.access(folder, os.W_OK):
        return temporary_cache(f"{folder} cannot be written")
    return folder


def cache_of(kind: str) -> Path:
    """The folder of one kind of caches; a link in somebody else's cache leads nowhere."""
    folder = cache_folder() / kind
    if folder.is_symlink() and leads_out(folder, folder.parent):
        return temporary_cache(f"{folder} is a link that leads elsewhere") / kind
    return folder


def remove(folder: Path) -> None:
    """Remove a cache, or what stands in its place: of a link, the link alone.

    Raises:
        OSError: that failed.
    """
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


@functools.cache
def temporary_cache(reason: str) -> Path:
    """A folder for caches that only this user can write; it is reported once."""
    user = getattr(os, "getuid", int)()
    folder = Path(tempfile.gettempdir()) / f"gan-train-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        is_private = status.st_uid == user and not status.st_mode & 0o077
    except OSError:
        is_private = False
    if not is_private or folder.is_symlink():
        folder = Path(tempfile.mkdtemp(prefix="gan-train-"))
    Terminal().say(f"note: caches lie in {folder} ({reason}). GAN_TRAIN_CACHE=FOLDER moves them.")
    return folder


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

    A run that has mapped one keeps it. What has no cache's name is not touched.

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
            if KEY.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
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
