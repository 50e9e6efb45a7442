"""Sharded tar files, on disks or behind URLs, through the webdataset library."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import math
import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Literal

from gan_cli.data.base import DataSource, Progress, ShardDataset
from gan_cli.data.files.cache import tree_found
from gan_cli.data.files.decode import Resize, UnusableImageError
from gan_cli.data.files.framing import Framing
from gan_cli.data.images import image_spec
from gan_cli.data.shards.read import Shards, UnreadableShardError
from gan_cli.errors import UserError, require
from gan_cli.spec import DataSpec

MOST_SHARDS = 1_000_000
HEAD = 2**16  # bytes of each local shard that tell it from others
TRIED = 100  # samples looked at for a usable image before training
NAMED = 5  # shards or samples named in a message
#: Runs any shell command, which a checkpoint's config must not.
FORBIDDEN = "pipe"
RANGE = re.compile(r"\{(-?\d{1,18})\.\.(-?\d{1,18})")
EXAMPLE = "\"data.shards='faces-{000000..000099}.tar'\""
CONTENT_EXPECTED = """\
  expected: tar files of images, with the files of one image side by side
    000001.jpg
    000001.cls     its label as a number, for data.classes
    000002.jpg"""


class WebDataset(DataSource):
    """Images read from shards one after the other, in an order that is shuffled each epoch."""

    streams = True

    def __init__(  # noqa: PLR0913  (each is a key of the YAML)
        self,
        *,
        root: str,
        shards: str | Sequence[str] | None,
        images: int | None,
        classes: int,
        channels: int,
        image_size: int | Sequence[int],
        load_size: int | Sequence[int] | None,
        resize: Resize,
        crop: Literal["center", "random"],
        flip: bool,
        shuffle_buffer: int,
        workers: int | None,
        pixel_range: Sequence[float],
    ) -> None:
        require_package()
        framing = Framing(channels, image_size, load_size, resize, crop, flip)
        require(
            (bool(root), "root='': give the folder where relative paths begin"),
            (bool(shards), f"shards={shards}: name the tar files, like {EXAMPLE}"),
            (images is None or images >= 1, f"images={images}: must be at least 1, or null"),
            (classes >= 0, f"classes={classes}: must be at least 0"),
            (shuffle_buffer >= 0, f"shuffle_buffer={shuffle_buffer}: must be at least 0"),
            (workers is None or workers >= 0, f"workers={workers}: must be 0 or more, or null"),
            *framing.rules(),
        )
        self._spec = image_spec(channels, framing.size, pixel_range, classes=classes)
        self.root = Path(root).expanduser()
        self.given = expand([shards] if isinstance(shards, str) else list(shards or ()))
        self.names = tuple(place(name, self.root) for name in self.given)
        self.framing, self.images, self.classes = framing, images, classes
        self.shuffle_buffer, self.workers = shuffle_buffer, workers

    @property
    def spec(self) -> DataSpec:
        """As configured."""
        return self._spec

    def sharing_problem(self, world: int) -> str | None:
        """Each reader needs a shard of its own."""
        shards = self.shards()
        readers, there = shards.readers_of(world), len(self.names)
        if there >= world * readers:
            return None
        if there < world:
            return (
                f"data.shards: {there} for {world} processes, but each needs one of its own. Make "
                f"at least {world} shards, or train with {there} processes"
            )
        of_all = "" if world == 1 else f" ({world} processes of {readers})"
        return (
            f"data.workers={self.workers}: {there} shards for {world * readers} workers{of_all}, "
            f"but each needs one of its own. Use at most data.workers={there // world}, or null"
        )

    def shards(self) -> Shards:
        """How they are read."""
        return Shards(
            names=self.names,
            shape=self.framing.shape,
            classes=self.classes,
            buffer=self.shuffle_buffer,
            workers=self.workers,
        )

    def load(self, *, seed: int, progress: Progress) -> ShardDataset:  # noqa: ARG002
        """Look at which shards are there, and into the first.

        Raises:
            UserError: one is not there, the first cannot be read, or holds no usable image.
        """
        self._require_files()
        shards = self.shards()
        require_image(shards)
        return ShardDataset(
            shards, self._spec, self.framing.augment, self.images, identity=self._identity()
        )

    def _require_files(self) -> None:
        paths = [Path(name) for name in self.names if not has_scheme(name)]
        missing = [path for path in paths if not path.is_file()]
        if not missing:
            return
        named = ", ".join(map(str, missing[:NAMED])) + (", ..." if len(missing) > NAMED else "")
        which = (
            "no such file"
            if len(self.names) == 1
            else (f"{len(missing)} of {len(self.names)} not found")
        )
        relative = (
            ""
            if all(Path(name).is_absolute() for name in self.given)
            else (f" (relative paths begin at data.root={self.root})")
        )
        folder = missing[0] if missing[0].is_dir() else missing[0].parent
        raise UserError(f"data.shards: {which}: {named}{relative}\n{tree_found(folder)}")

    def _identity(self) -> str:
        digest = hashlib.blake2b(repr((self.framing.shape, self.classes)).encode(), digest_size=8)
        for given, name in zip(self.given, self.names, strict=True):
            digest.update(f"{given}\0".encode("utf-8", "surrogateescape"))
            if not has_scheme(name):
                digest.update(Path(name).stat().st_size.to_bytes(8, "big"))
                # Shards are often of one size. One that cannot be read is told of in its turn.
                with contextlib.suppress(OSError), Path(name).open("rb") as file:
                    digest.update(file.read(HEAD))
        return digest.hexdigest()


def require_package() -> None:
    """Refuse to go on without the library.

    Raises:
        ValueError: it is not installed; says how to.
    """
    if importlib.util.find_spec("webdataset") is None:
        raise ValueError("data=webdataset: needs webdataset: pip install 'gan-train[webdataset]'")


def expand(patterns: Sequence[str]) -> list[str]:
    """All names that patterns with braces stand for.

    Raises:
        ValueError: they are not balanced, stand for too many, or for one name twice.
    """
    from braceexpand import braceexpand

    found: list[str] = []
    for pattern in patterns:
        spans = (abs(int(end) - int(start)) + 1 for start, end in RANGE.findall(pattern))
        many = math.prod(spans) > MOST_SHARDS
        try:
            found += [] if many else islice(braceexpand(pattern), MOST_SHARDS + 1)
        except ValueError as error:
            raise ValueError(f"shards={pattern}: its braces do not match") from error
        require(
            (
                not many and len(found) <= MOST_SHARDS,
                f"shards={pattern}: stands for more than {MOST_SHARDS:,} names",
            ),
        )
    ((twice, times),) = Counter(found).most_common(1) or [("", 0)]
    require((times < 2, f"shards={twice}: is named twice"))
    return found


def has_scheme(name: str) -> bool:
    """Whether a shard's name is an address rather than a path."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", name) is not None


def place(name: str, root: Path) -> str:
    """A shard's address, or its path.

    Raises:
        ValueError: an address of a kind that cannot be read.
    """
    if not has_scheme(name):
        # Absolute, or a colon in it would make an address of it.
        return str((root / Path(name).expanduser()).absolute())
    import webdataset

    scheme = name.partition(":")[0]
    known = {"file", *webdataset.gopen_schemes} - {FORBIDDEN, "__default__"}
    require(
        (
            scheme in known,
            f"shards={name}: cannot read from {scheme}:. Use a path, or an address with "
            f"{', '.join(sorted(known))}",
        )
    )
    return name


def require_image(shards: Shards) -> None:
    """Find a usable image in the first shard, or in the next ones while it has none at all.

    Raises:
        UserError: a shard cannot be read, or there is no such image.
    """
    reasons: list[str] = []
    for name in shards.names:
        try:
            for sample in shards.read(name):
                try:
                    shards.decode(sample)
                except UnusableImageError as error:
                    reasons.append(f"    {name}: {sample['__key__']}: {error}")
                    if len(reasons) == TRIED:
                        break
                else:
                    return
        except UnreadableShardError as error:
            raise UserError(f"data.shards: {name} cannot be read ({error}).") from error
        if len(reasons) == TRIED:
            break
    looked = f"the first {TRIED} samples" if len(reasons) == TRIED else "all shards"
    raise UserError(
        f"data.shards: no usable image in {looked}.\n"
        + "".join(f"{text}\n" for text in reasons[:NAMED])
        + CONTENT_EXPECTED
    )
