"""Fetching data sets by torchvision, and what to say when that is not possible."""

from __future__ import annotations

import contextlib
import io
import zlib
from collections.abc import Callable, Iterable
from http.client import HTTPException
from pathlib import Path

from gan_cli.errors import UserError

FAILURES = (OSError, RuntimeError, EOFError, ValueError, HTTPException, zlib.error)


def fetch(download: Callable[[], object], *, explain: Callable[[str], str]) -> None:
    """Run a download of torchvision's without what it prints.

    Args:
        download: does it.
        explain: makes a message of the reason why it failed.

    Raises:
        UserError: it failed.
    """
    try:
        # torchvision prints mirror after mirror; one message of ours says it all.
        with contextlib.redirect_stdout(io.StringIO()):
            download()
    except FAILURES as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(explain(f"the download failed: {reason}")) from error


def missing_files(
    reason: str,
    *,
    root: Path,
    folder: Path,
    expected: str,
    address: str | None = None,
    instead: str = "data=digits",
) -> str:
    """What is missing, what is there, what is expected, and what to do."""
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    more = f", and {len(there) - 12} more" if len(there) > 12 else ""
    by_hand = f"by hand (from {address})" if address else "by hand"
    return (
        f"data.root={root}: {reason}.\n"
        f"  found in {folder}/: {', '.join(there[:12]) or 'nothing'}{more}\n"
        f"  expected there: {expected}\n"
        f"  Put the files there {by_hand}, give another data.root, "
        f"or use {instead}, which needs none."
    )


def remove_empty(folders: Iterable[Path]) -> None:
    """Leave no empty folders behind a failed download, inner ones first."""
    with contextlib.suppress(OSError):
        for folder in folders:
            folder.rmdir()
