"""The charting library as one script: Vega, Vega-Lite and Vega-Embed.

It comes from the installed package vl-convert, so a page needs no network. Vega draws SVG, so
text can be selected and follows the page's colours, and the script has 0.9 MB. (Bokeh draws on a
canvas, and Plotly's script has 4.7 MB.)
"""

from __future__ import annotations

import contextlib
import hashlib
from importlib.metadata import version
from pathlib import Path

import vl_convert

from gan_cli.data.files.cache_place import cache_of
from gan_cli.system.files import replacing
from gan_cli.system.plain import read_plain

FOLDER, PACKAGE = "scripts", "vl-convert-python"
#: SHA-256 of the scripts that versions of vl-convert join, which takes them a second. Only these
#: are kept in the cache and taken from it: a page must not run what somebody else put there.
KNOWN = {"1.9.0.post1": "3425bd951a44d478d0505c6b5d1e8d57656b6e9a4da7bfe88a718ce61d76e572"}


def vega_script() -> str:
    """The script, which defines `vegaEmbed`."""
    expected = KNOWN.get(version(PACKAGE))
    if expected is None:
        return vl_convert.javascript_bundle()  # type: ignore[call-arg]
    file = kept_in() / f"vega-{version(PACKAGE)}.js"
    with contextlib.suppress(OSError):
        script = read_plain(file)
        if hashlib.sha256(script).hexdigest() == expected:
            return script.decode()
    text = vl_convert.javascript_bundle()  # type: ignore[call-arg]
    with contextlib.suppress(OSError):  # then it is joined anew the next time
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="")
    return text


def kept_in() -> Path:
    """The folder of joined scripts."""
    return cache_of(FOLDER)
