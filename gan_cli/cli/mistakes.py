"""Command lines that Hydra takes, or rejects without help, and what was meant by them."""

from __future__ import annotations

from collections.abc import Sequence

from gan_cli.errors import Problem

#: Hydra's own folders, which gan-train switches off, and the value that says the same.
HYDRA_FOLDERS = {
    "hydra.run.dir": ".",
    "hydra.sweep.dir": None,
    "hydra.sweep.subdir": None,
    "hydra.job.chdir": "false",
    "hydra.output_subdir": "null",
}
#: What says instead where a command writes.
PLACE_KEYS = {
    "gan-train": "output_dir=FOLDER",
    "gan-sample": "out=PATH",
    "gan-translate": "output=FOLDER",
    "gan-evaluate": "out=FILE",
}


def hydra_folder_problems(command: str, arguments: Sequence[str]) -> list[Problem]:
    """Settings of Hydra's own folders, which would have no effect.

    Args:
        command: the console script.
        arguments: its command line.
    """
    problems = []
    for text in arguments:
        key, equals, value = text.partition("=")
        key = key.lstrip("+~")
        if equals and key in HYDRA_FOLDERS and value.lower() != HYDRA_FOLDERS[key]:
            advice = "has no effect: Hydra's own folders are switched off, and no job changes the "
            advice += f"current folder. Drop it; {PLACE_KEYS[command]} says where files go"
            problems.append(Problem(key, value, advice))
    return problems
