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

from typing_extensions import override

from gan_cli.data.base import DataSource, Progress, ShardDataset
from gan_cli.data.files.decode import MOST_MEGAPIXELS, Resize
from gan_cli.data.files.framing import AUTO, Crop, Framing, reading_of, workers_rule
from gan_cli.data.files.listing import tree_found
from gan_cli.data.images import image_spec
from gan_cli.data.shards.look import look_at_first
from gan_cli.data.shards.read import Shards
from gan_cli.errors import Problem, SettingsError, UserError, require
from gan_cli.spec import DataSpec

NO_AUTO = "needs to look at files before they are read. Use white, black or a colour"
MOST_SHARDS = 1_000_000
HEAD_BYTES = 2**16  # of each local shard, that tell it from others
MOST_NAMED = 5  # shards named in a message
#: Runs any shell command, which a checkpoint's config must not.
FORBIDDEN = "pipe"
RANGE = re.compile(r"\{(-?\d{1,18})\.\.(-?\d{1,18})")
EXAMPLE = "\"data.shards='faces-{000000..000099}.tar'\""


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
        crop: Crop,
        flip: bool,
        shuffle_buffer: int,
        workers: int | None,
        pixel_range: Sequence[float],
        levels: Sequence[float] | None = None,
        background: str = "white",
        max_megapixels: float = MOST_MEGAPIXELS,
    ) -> None:
        require_package()
        framing = Framing(
            channels=channels,
            image_size=image_size,
            load_size=load_size,
            resize=resize,
            crop=crop,
            flip=flip,
            reading=reading_of(levels, background, max_megapixels),
        )
        require(
            (bool(root), "root", root, "give the folder where relative paths begin"),
            (bool(shards), "shards", shards, f"name the tar files, like {EXAMPLE}"),
            (images is None or images >= 1, "images", images, "must be at least 1, or null"),
            (classes >= 0, "classes", classes, "must be at least 0"),
            (shuffle_buffer >= 0, "shuffle_buffer", shuffle_buffer, "must be at least 0"),
            (background != AUTO, "background", background, NO_AUTO),
            workers_rule(workers),
            *framing.rules(),
        )
        self._spec = image_spec(channels, framing.size, pixel_range=pixel_range, classes=classes)
        self.root = Path(root).expanduser()
        #: The shards' names as configured, and as they are opened.
        self.short_names = expand([shards] if isinstance(shards, str) else list(shards or ()))
        self.names = tuple(locate(name, self.root) for name in self.short_names)
        self.framing, self.images, self.classes = framing, images, classes
        self.shuffle_buffer, self.workers = shuffle_buffer, workers

    @property
    @override
    def spec(self) -> DataSpec:
        """As configured."""
        return self._spec

    @override
    def sharing_problem(self, world: int) -> Problem | None:
        """Each process, and each of its workers, needs a shard of its own."""
        readers, shards = self.shards().readers_of(world), len(self.names)
        if shards >= world * readers:
            return None
        if shards < world:
            return Problem.about(
                "data.shards",
                f"{shards} for {world} processes, but each needs one of its own. Make at least "
                f"{world} shards, or train with {shards} processes",
            )
        of_all = "" if world == 1 else f" ({world} processes of {readers})"
        return Problem(
            "data.workers",
            self.workers,
            f"{shards} shards for {world * readers} workers{of_all}, but each needs one of its "
            f"own. Use at most data.workers={shards // world}, or null",
        )

    @property
    @override
    def addresses(self) -> tuple[str, ...]:
        """Shards that are no files of this machine."""
        return tuple(
            name for name in self.names if has_scheme(name) and not name.startswith("file:")
        )

    def shards(self) -> Shards:
        """The shards, and how they are read."""
        return Shards(
            names=self.names,
            shape=self.framing.shape,
            classes=self.classes,
            buffer=self.shuffle_buffer,
            workers=self.workers,
        )

    @override
    def load(self, *, seed: int, progress: Progress) -> ShardDataset:
        """Check which shards are there, and what the first samples hold.

        Raises:
            UserError: one is not there, the first cannot be read, or `look_at_first` rejects it.
        """
        self._require_files()
        shards = self.shards()
        return ShardDataset(
            shards,
            self._spec,
            self.framing.augment,
            self.images,
            identity=self._identity(),
            notes=tuple(look_at_first(shards)),
        )

    def _require_files(self) -> None:
        """Check that all local shards are there.

        Raises:
            UserError: some are not; says which, and what is there instead.
        """
        paths = [Path(name) for name in self.names if not has_scheme(name)]
        missing = [path for path in paths if not path.is_file()]
        if not missing:
            return
        more = ", ..." if len(missing) > MOST_NAMED else ""
        named = ", ".join(map(str, missing[:MOST_NAMED])) + more
        is_only = len(self.names) == 1
        which = "no such file" if is_only else f"{len(missing)} of {len(self.names)} not found"
        if all(Path(name).is_absolute() for name in self.short_names):
            relative = ""
        else:
            relative = f" (relative paths begin at data.root={self.root})"
        folder = missing[0] if missing[0].is_dir() else missing[0].parent
        advice = f"{which}: {named}{relative}\n{tree_found(folder)}"
        raise UserError(Problem.about("data.shards", advice))

    def _identity(self) -> str:
        digest = hashlib.blake2b(repr((self.framing.shape, self.classes)).encode(), digest_size=8)
        for short_name, name in zip(self.short_names, self.names, strict=True):
            digest.update(f"{short_name}\0".encode("utf-8", "surrogateescape"))
            if not has_scheme(name):
                digest.update(Path(name).stat().st_size.to_bytes(8, "big"))
                # Shards are often of one size. One that cannot be read is reported in its turn.
                with contextlib.suppress(OSError), Path(name).open("rb") as file:
                    digest.update(file.read(HEAD_BYTES))
        return digest.hexdigest()


def require_package() -> None:
    """Check that the webdataset library is installed.

    Raises:
        SettingsError: it is not; says how to install it.
    """
    if importlib.util.find_spec("webdataset") is None:
        advice = "needs webdataset: pip install 'gan-train[webdataset]'"
        raise SettingsError([Problem("data", "webdataset", advice, is_full=True)])


def expand(patterns: Sequence[str]) -> list[str]:
    """All names that patterns with braces stand for.

    Raises:
        SettingsError: braces do not match, or patterns stand for too many names, or for one twice.
    """
    from braceexpand import braceexpand

    names: list[str] = []
    for pattern in patterns:
        spans = (abs(int(end) - int(start)) + 1 for start, end in RANGE.findall(pattern))
        is_huge = math.prod(spans) > MOST_SHARDS  # not to be tried
        try:
            names += [] if is_huge else islice(braceexpand(pattern), MOST_SHARDS + 1)
        except ValueError as error:
            problem = Problem("shards", pattern, "its braces do not match")
            raise SettingsError([problem]) from error
        is_huge = is_huge or len(names) > MOST_SHARDS
        require((not is_huge, "shards", pattern, f"stands for more than {MOST_SHARDS:,} names"))
    ((commonest, times),) = Counter(names).most_common(1) or [("", 0)]
    require((times < 2, "shards", commonest, "is named twice"))
    return names


def has_scheme(name: str) -> bool:
    """Whether a shard's name is an address rather than a path."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", name) is not None


def locate(name: str, root: Path) -> str:
    """A shard's address, or its absolute path.

    Raises:
        SettingsError: an address of a kind that cannot be read.
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
            "shards",
            name,
            f"cannot read from {scheme}:. Use a path, or an address with "
            f"{', '.join(sorted(known))}",
        )
    )
    return name
