"""Printing that never ends a run: a closed pipe or a full disk only silences it."""

from __future__ import annotations

import os
import sys
from typing import Any

from rich.console import Console
from rich.text import Text
from typing_extensions import override

from gan_cli.errors import printable


class Terminal(Console):
    """A console whose reader may end (`gan-train | head`) while the training goes on."""

    def __init__(self) -> None:
        super().__init__(highlight=False)

    def on_broken_pipe(self) -> None:
        """Drop all further output."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    @override
    def render_str(self, text: str, **how: Any) -> Text:
        """Cells of tables and titles, which may hold names from anywhere."""
        return super().render_str(printable(text), **how)

    def say(self, text: str) -> None:
        """Print lines without markup or wrapping, so that commands can be pasted.

        Only what would control the terminal is changed, see `printable`.
        """
        text = printable(text)
        try:
            self.print(Text(text), soft_wrap=True)
        except UnicodeEncodeError:
            self.print(Text(text.encode("ascii", "backslashreplace").decode()), soft_wrap=True)
        except OSError:  # a full disk behind stdout, say
            self.quiet = True
