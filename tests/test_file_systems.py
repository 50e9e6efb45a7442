"""What a file system does not have is said once; the run goes on."""

import errno
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gan_cli.data.files.download import fetch
from gan_cli.errors import Problem, UserError
from gan_cli.evaluation.cache import cached
from gan_cli.runs.checkpoint import list_checkpoints
from gan_cli.system.files import say_once
from tests.conftest import Cli
from tests.test_trust import RUN, SMALL, THEIRS

LIMITS = [errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS]


def refusing(number: int, *, of: Callable[[Any], bool] = lambda _: True) -> Callable[..., None]:
    def refuse(descriptor: Any, *_: object) -> None:
        if of(descriptor):
            raise OSError(number, os.strerror(number))

    return refuse


def is_folder(descriptor: int) -> bool:
    return Path(f"/proc/self/fd/{descriptor}").is_dir()


@pytest.mark.parametrize("number", LIMITS[:3])
def test_without_locks_a_run_trains_and_resumes(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr("fcntl.flock", refusing(number))
    for arguments in ((*RUN, *SMALL), (f"resume={THEIRS}", "steps=3")):
        say_once.cache_clear()
        result = cli(*arguments)
        assert result.code == 0, result.err
        assert result.out.count("has no locks") == 1
        assert os.strerror(number) in result.out
    assert cached("x", lambda: {"a": 1}, keys=["a"])["a"] == 1  # waits for nobody


@pytest.mark.parametrize("of", [is_folder, lambda _: True])
@pytest.mark.parametrize("number", LIMITS)
def test_without_flushing_checkpoints_are_written(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, number: int, of: Callable[[Any], bool]
) -> None:
    say_once.cache_clear()
    monkeypatch.setattr(os, "fsync", refusing(number, of=of))
    result = cli(*RUN, *SMALL)
    assert result.code == 0
    assert result.out.count("cannot be asked to flush") == 1
    assert "warning" not in result.out + result.err
    assert len(list_checkpoints(THEIRS / "checkpoints")) == 1


def test_other_failures_of_flushing_are_failures(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", refusing(errno.EIO))
    assert cli(*RUN, *SMALL).code == 1


def test_no_word_on_free_space_is_no_full_disk(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(total=0, used=0, free=0))
    result = cli(*RUN, *SMALL)
    assert result.code == 0
    assert len(list_checkpoints(THEIRS / "checkpoints")) == 1
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=0))
    assert cli(f"resume={THEIRS}", "steps=3").code == 1


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short"])
@pytest.mark.parametrize("unpack", [zipfile.ZipFile, tarfile.open])
def test_a_download_that_is_no_archive_is_one_message(
    tmp_path: Path, content: bytes, unpack: Callable[[Path], object]
) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(UserError, match="the download failed: "):
        fetch(lambda: unpack(tmp_path / "x"), explain=lambda reason: Problem("k", "v", reason))
