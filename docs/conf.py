"""The site and the man pages, made of the pages in this folder: `scripts/docs`."""

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs/ext")]

from anycast_checks import __version__  # noqa: E402

project = "anycast-checks"
author = "The anycast-checks authors"
release = version = __version__
extensions = ["help_of"]
root_doc = "index"
html_theme = "alabaster"
html_theme_options = {
    "description": "Dead anycast endpoints leave the routing",
    "page_width": "70em",
}
html_show_copyright = html_show_sphinx = False
html_copy_source = False
highlight_language = "none"
smartquotes = False
nitpicky = True
man_show_urls = False
man_pages = [
    ("check_anycast", "check_anycast", "ask whether an anycast service is right", [], 1),
    ("anycast-handler", "anycast-handler", "withdraw and restore anycast endpoints", [], 1),
    ("fleet-file", "fleet.toml", "the fleet file of anycast-handler", [], 5),
]

# The pages name one another as files, so that they can be read as they are.
PAGE = re.compile(r"``(?:docs/)?([\w-]+)\.rst``")
PAGES = {page.stem for page in Path(__file__).parent.glob("*.rst")}
README = ROOT / "README.rst"
OTHERS = {"README": "readme", "CHANGELOG": "changelog", "CONTRIBUTING": "contributing"}


def _link_pages(_app: Any, name: str, source: list[str]) -> None:
    # The README names pictures as they are found from its own folder.
    text = README.read_text().replace(":: docs/", ":: ") if name == "readme" else source[0]
    source[0] = PAGE.sub(_link, text)


def _link(found: re.Match[str]) -> str:
    name = OTHERS.get(found[1], found[1])
    return f":doc:`{name}`" if name in PAGES else found[0]


def setup(app: Any) -> None:
    """Have the names of pages made links."""
    app.connect("source-read", _link_pages)
