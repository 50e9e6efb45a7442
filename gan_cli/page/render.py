"""A page from a template: autoescaped, self-contained, written whole or not at all."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from gan_cli import __version__
from gan_cli.errors import UserError, printable
from gan_cli.page.vega import vega_script
from gan_cli.system.files import replacing

HERE = Path(__file__).parent
#: Every page has these, in this order.
SCRIPTS = ("page.js", "spec.js", "numbers.js", "charts.js")


@cache
def templates() -> Environment:
    """The templates; control characters in what they show are written out."""
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=shown,
    )
    environment.globals |= {"json_script": json_script, "version": __version__}
    return environment


def shown(value: object) -> object:
    """A value as a page shows it."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else printable(value)


def json_script(identity: str, data: object) -> Markup:
    """An element that holds data for the page's scripts.

    Args:
        identity: of the element.
        data: of what JSON knows; numbers that are not finite become null.
    """
    text = json.dumps(finite(data), allow_nan=False, separators=(",", ":"))
    for character in "<>&":  # nothing in it may look like a tag
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(  # noqa: S704  (no < is left in it, and the identity is ours)
        f'<script type="application/json" id="{identity}">{text}</script>'
    )


def finite(data: object) -> object:
    """The same with null for each number that JSON does not know."""
    if isinstance(data, dict):
        return {key: finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def render(
    template: str, *, scripts: tuple[str, ...] = (), more: tuple[str, ...] = (), **values: Any
) -> str:
    """A whole page.

    Args:
        template: its name in `templates/`.
        scripts: names in `scripts/`, beside those of every page.
        more: texts of further scripts.
        **values: what the template shows.
    """
    files = (HERE / "scripts" / name for name in (*SCRIPTS, *scripts))
    texts = [*(file.read_text(encoding="utf-8") for file in files), *more]
    own = "\n".join(dict.fromkeys(texts))  # each once
    style = "\n".join(file.read_text(encoding="utf-8") for file in sorted(HERE.glob("*.css")))
    return (
        templates()
        .get_template(template)
        .render(
            style=Markup(style),  # noqa: S704  (files of this package)
            vega=Markup(vega_script()),  # noqa: S704
            script=Markup(own),  # noqa: S704
            **values,
        )
    )


def write_page(file: Path, page: str) -> None:
    """Write a page, whole or not at all.

    Raises:
        UserError: it cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temporary:
            temporary.write_text(page, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{file}: cannot be written ({reason}). Name another: out=FILE") from error
