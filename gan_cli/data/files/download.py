"""Downloads by torchvision, and what to do when one is not possible."""

from __future__ import annotations

import contextlib
import io
import lzma
import pickle
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from http.client import HTTPException
from pathlib import Path

from gan_cli.errors import Problem, UserError

#: What a download raises, and unpacking one that is empty, cut short or something else.
FAILURES = (
    OSError,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    HTTPException,
    lzma.LZMAError,
    pickle.UnpicklingError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)
MOST_NAMED = 12  # files in a message


def root_above(root: str, *folders: str) -> Path:
    """The folder that `data.root` should name, if it names one of those in it instead.

    Args:
        root: value of `data.root`, perhaps with ~.
        folders: names of the folders below it, the outer one first, in the last of which files lie.
    """
    given = Path(root).expanduser()
    if given.joinpath(*folders).exists():
        return given
    for depth in range(1, len(folders) + 1):
        whole = given.absolute()
        if whole.parts[-depth:] == folders[:depth]:
            above = whole.parents[depth - 1]
            if above.joinpath(*folders).is_dir():
                return above
    return given


def fetch(download: Callable[[], object], *, explain: Callable[[str], Problem]) -> None:
    """Run one of torchvision's downloads without what it prints.

    Args:
        download: does it.
        explain: makes a problem of the reason why it failed.

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
) -> Problem:
    """What is missing, what is there, what is expected, and what to do.

    Args:
        reason: why the files are not there, without a full stop.
        root: value of `data.root`.
        folder: where the files should lie, below `root`.
        expected: their names.
        address: where a person can get them; None: no page to name.
        instead: settings that need no files.
    """
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    more = f", and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    by_hand = f"by hand (from {address})" if address else "by hand"
    return Problem(
        "data.root",
        root,
        f"{reason}.\n"
        f"  found in {folder}/: {', '.join(names[:MOST_NAMED]) or 'nothing'}{more}\n"
        f"  expected there: {expected}\n"
        f"  Put the files there {by_hand}, give another data.root, "
        f"or use {instead}, which needs none.",
    )


def remove_empty(folders: Iterable[Path]) -> None:
    """Leave no empty folders behind a failed download, inner ones first."""
    with contextlib.suppress(OSError):
        for folder in folders:
            folder.rmdir()
