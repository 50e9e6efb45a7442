"""Printing that never ends a run: lines unwrapped, and a closed pipe just silences them."""

from __future__ import annotations

import os
import sys

from rich.console import Console
from rich.text import Text


class Terminal(Console):
    """A console whose reader may leave (`gan-train | head`) without stopping the training."""

    def __init__(self) -> None:
        super().__init__(highlight=False)

    def on_broken_pipe(self) -> None:
        """Send all further output to nowhere."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def say(self, text: str) -> None:
        """Print lines as they are: no markup, no wrapping, so that commands can be pasted."""
        try:
            self.print(Text(text), soft_wrap=True)
        except UnicodeEncodeError:
            self.print(Text(text.encode("ascii", "backslashreplace").decode()), soft_wrap=True)
        except OSError:  # a full disk behind stdout, say
            self.quiet = True
