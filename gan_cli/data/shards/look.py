"""A look at the first samples of shards before training: usable images, labels, merged samples."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice

from gan_cli.data.files.decode import UnusableImageError
from gan_cli.data.shards.read import LABEL, Sample, Shards, UnreadableShardError, image_names
from gan_cli.errors import Problem, UserError

MOST_TRIED = 100  # samples looked at
MOST_NAMED = 5  # samples or files named in a message
CONTENT_EXPECTED = """\
  expected: tar files of images, with the files of one image side by side
    000001.jpg
    000001.cls     its label as a number, for data.classes
    000002.jpg"""


@dataclass
class Seen:
    """What the first samples hold.

    Attributes:
        samples: how many were looked at.
        reasons: why samples cannot be used, until one can.
        has_image: one can be used.
        labels: all labels that are numbers.
        several: names of the images of each sample with more than one, by its key.
    """

    samples: int = 0
    reasons: list[str] = field(default_factory=list)
    has_image: bool = False
    labels: list[int] = field(default_factory=list)
    several: dict[str, list[str]] = field(default_factory=dict)

    def add(self, shards: Shards, sample: Sample) -> None:
        """Look at one more sample."""
        self.samples += 1
        text = sample.get(LABEL, b"")[:20].decode("utf-8", "replace").strip()
        if text.isascii() and text.isdigit():
            self.labels.append(int(text))
        if len(names := image_names(sample)) > 1:
            self.several[str(sample["__key__"])] = names
        if self.has_image:
            return
        try:
            shards.decode(sample)
            self.has_image = True
        except UnusableImageError as error:
            self.reasons.append(f"    {sample['__url__']}: {sample['__key__']}: {error}")


def look_at_first(shards: Shards) -> list[str]:
    """Look at samples of the first shard, and of the next ones while none has a usable image.

    Returns:
        Notes on what is not used, as sentences.

    Raises:
        UserError: a shard cannot be read, there is no usable image, labels are beyond the classes,
            or dots in names have merged images into one sample.
    """
    seen = Seen()
    for name in shards.names:
        try:
            for sample in islice(shards.read(name), MOST_TRIED - seen.samples):
                seen.add(shards, sample)
        except UnreadableShardError as error:
            if not seen.has_image:
                advice = f"{name} cannot be read ({error})."
                raise UserError(Problem.about("data.shards", advice)) from error
        if seen.has_image or seen.samples >= MOST_TRIED:
            break
    require_labels(shards, seen)
    notes = merged_notes(seen)
    if not seen.has_image:
        is_part = seen.samples >= MOST_TRIED
        where = f"the first {MOST_TRIED} samples" if is_part else "all shards"
        examples = "".join(f"{text}\n" for text in seen.reasons[:MOST_NAMED])
        advice = f"no usable image in {where}.\n{examples}{CONTENT_EXPECTED}"
        raise UserError(Problem.about("data.shards", advice))
    return notes


def require_labels(shards: Shards, seen: Seen) -> None:
    """Check the labels against data.classes.

    Raises:
        UserError: some are beyond it.
    """
    beyond = [label for label in seen.labels if label >= shards.classes]
    if not shards.classes or not beyond:
        return
    advice = (
        f"{len(beyond)} of the first {len(seen.labels)} labels are {shards.classes} or more (the "
        f"largest is {max(beyond)}), but classes count from 0. Use data.classes={max(beyond) + 1}, "
        "or number the labels from 0"
    )
    raise UserError(Problem("data.classes", shards.classes, advice))


def merged_notes(seen: Seen) -> list[str]:
    """A note on samples that all hold the same several images, of which the first is used.

    Raises:
        UserError: the images differ from sample to sample, so dots in their names merged them.
    """
    if not seen.several:
        return []
    key, names = next(iter(seen.several.items()))
    some = ", ".join(names[:MOST_NAMED]) + (", ..." if len(names) > MOST_NAMED else "")
    kinds = {tuple(sorted(others)) for others in seen.several.values()}
    if len(kinds) == 1 and len(seen.several) > 1:
        return [
            f"{len(seen.several)} of the first {seen.samples} samples hold {len(names)} images "
            f"each ({some}), of which {names[0]} is used."
        ]
    dotted = next((name for name in names if "." in name), names[-1])
    stem, _, extension = f"{key}.{dotted}".rpartition(".")
    better = f"{stem.replace('.', '_')}.{extension}"
    unused = sum(len(others) - 1 for others in seen.several.values())
    advice = (
        f"the sample {key} holds {len(names)} images ({some}), of which one would be used: a name "
        f"up to its first dot names the image. {unused} images of the first {seen.samples} samples "
        f"would be left out. Rename them, like {better}, and make the shards again"
    )
    raise UserError(Problem.about("data.shards", advice))
