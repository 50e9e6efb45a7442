"""TensorBoard's event files: opened, cut back to a step, written beside a run."""

from __future__ import annotations

import functools
import struct
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import indent
from typing import Any

from gan_cli.pictures import Picture, as_png
from gan_cli.system.files import replacing

#: A record's length, and the checksum of that.
HEADER = struct.Struct("<QI")
CHECKSUM_BYTES = 4
LARGEST_EVENT = 2**28  # bytes; a larger one is none of ours
#: What comes before each / in the keys that a person looks at first.
FIRST_GROUPS = ("loss", "prob", "score")


def open_events(run: Path, *, first_step: int) -> Any:
    """A SummaryWriter for a run, whose earlier events end at `first_step`.

    A run that starts over keeps its earlier events under a name that TensorBoard does not read.

    Raises:
        Exception: the files cannot be written, or TensorBoard is not installed as it should be,
            which may raise anything.
    """
    from torch.utils.tensorboard import SummaryWriter

    for file in sorted(run.glob("events.out.tfevents.*")):
        if first_step:
            trim_events(file, first_step)
        else:
            file.replace(file.with_name(file.name.replace("tfevents", "before_restart")))
    silence_threads()
    return SummaryWriter(str(run), max_queue=1000, flush_secs=10)


@functools.cache
def silence_threads() -> None:
    """Keep the tracebacks of TensorBoard's threads to itself: the next write raises their error."""
    before = threading.excepthook

    def report(failure: threading.ExceptHookArgs) -> None:
        if not type(failure.thread).__module__.startswith("tensorboard"):
            before(failure)

    threading.excepthook = report


def write_events(
    folder: Path, step: int, scalars: Mapping[str, float], pictures: Mapping[str, Picture]
) -> None:
    """Write numbers and pictures of one step into TensorBoard files of their own.

    Raises:
        OSError: they could not be written, for whatever reason.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(str(folder)) as writer:
            for key, value in scalars.items():
                writer.add_scalar(key, value, step)
            for name, picture in pictures.items():
                write_picture(writer, name, as_png(picture), step, size=picture.shape[:2])
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise OSError(f"TensorBoard: {reason}") from error


def write_picture(writer: Any, name: str, png: bytes, step: int, *, size: Sequence[int]) -> None:
    """Write a picture that is a PNG already, which `add_image` would make anew.

    Args:
        writer: from `open_events`.
        name: of the series.
        png: the picture, RGB.
        step: at which it was drawn.
        size: its height and width in pixels.
    """
    from tensorboard.compat.proto.summary_pb2 import Summary

    height, width = size
    image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=png)
    summary = Summary(value=[Summary.Value(tag=name, image=image)])
    writer.file_writer.add_summary(summary, step)


def write_settings(
    writer: Any, step: int, *, config: str, settings: Mapping[str, object], metrics: Iterable[str]
) -> None:
    """Write what a run is: its config for TEXT, settings for HPARAMS, first curves to look at.

    TensorBoard sorts curves by name, so losses would come after diversities and gradients. Its tab
    CUSTOM SCALARS keeps the order that a run gives.

    Args:
        writer: from `open_events`.
        step: at which the run starts, or goes on.
        config: as YAML.
        settings: flat, of numbers, flags and text.
        metrics: keys that HPARAMS shows beside them.
    """
    from torch.utils.tensorboard.summary import hparams

    writer.add_text("config", indent(config, "    "), step)  # a code block, whatever it holds
    for summary in hparams(dict(settings), dict.fromkeys(metrics, 0.0)):
        writer.file_writer.add_summary(summary)
    there = {key.partition("/")[0] for key in metrics}
    groups = [group for group in FIRST_GROUPS if group in there]
    writer.add_custom_scalars({group: {group: ["Multiline", [f"{group}/"]]} for group in groups})


def trim_events(file: Path, step: int) -> None:
    """Drop TensorBoard events beyond `step`, and a last one that was cut short."""
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from tensorboard.compat.proto.event_pb2 import Event

    with replacing(file) as temporary, temporary.open("wb") as output:
        for record in records(file):
            try:
                event = Event.FromString(record[HEADER.size : -CHECKSUM_BYTES])
            except DecodeError:  # damaged, and so is what follows
                break
            if event.step <= step:
                output.write(record)


def records(file: Path) -> Iterator[bytes]:
    """The records of an event file, as they are stored, up to one that is damaged or cut short.

    Each is its length (8 bytes), a checksum of that (4), its content, and a checksum of that (4).
    """
    from tensorboard.summary.writer.record_writer import masked_crc32c

    left = file.stat().st_size
    with file.open("rb") as stored:
        while len(header := stored.read(HEADER.size)) == HEADER.size:
            length, checksum = HEADER.unpack(header)
            left -= HEADER.size + length + CHECKSUM_BYTES
            if left < 0 or length > LARGEST_EVENT or masked_crc32c(header[:8]) != checksum:
                return
            yield header + stored.read(length + CHECKSUM_BYTES)
