"""Printing that never ends a run: a closed pipe or a full disk only silences it."""

from __future__ import annotations

import os
import sys

from rich.console import Console
from rich.text import Text


class Terminal(Console):
    """A console whose reader may end (`gan-train | head`) while the training goes on."""

    def __init__(self) -> None:
        super().__init__(highlight=False)

    def on_broken_pipe(self) -> None:
        """Drop all further output."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def say(self, text: str) -> None:
        """Print lines unchanged, without markup or wrapping, so that commands can be pasted."""
        try:
            self.print(Text(text), soft_wrap=True)
        except UnicodeEncodeError:
            self.print(Text(text.encode("ascii", "backslashreplace").decode()), soft_wrap=True)
        except OSError:  # a full disk behind stdout, say
            self.quiet = True
