"""TensorBoard's event files: opened, cut back to a step, written beside a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gan_cli.pictures import Picture
from gan_cli.system.files import replacing


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
    return SummaryWriter(str(run), max_queue=1000, flush_secs=10)


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
                writer.add_image(name, picture, step, dataformats="HWC")
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise OSError(f"TensorBoard: {reason}") from error


def trim_events(file: Path, step: int) -> None:
    """Drop TensorBoard events beyond `step`, and a last one that was cut short."""
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    records = list(RawEventFileLoader(str(file)).Load())
    with replacing(file) as temporary, temporary.open("wb") as output:
        writer = RecordWriter(output)
        for record in records:
            if Event.FromString(record).step <= step:
                writer.write(record)
        writer.flush()
