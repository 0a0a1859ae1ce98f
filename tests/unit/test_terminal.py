"""The picture of a terminal has every character of the output in it, and its colours."""

from __future__ import annotations

from xml.etree import ElementTree

import click

from lab.terminal import COLOURS, COLUMNS, drawn

TEXT = "{http://www.w3.org/2000/svg}text"


def rows(picture: str) -> list[str]:
    """Read the rows of a picture."""
    return ["".join(row.itertext()) for row in ElementTree.fromstring(picture).iter(TEXT)]


def test_a_picture_shows_what_was_printed() -> None:
    lines = ["$ a < b & c", click.style("VIP  ENDPOINT", bold=True), "", "  ns1   absent"]
    assert rows(drawn(lines)) == ["$ a < b & c", "VIP  ENDPOINT", "", "  ns1   absent"]


def test_a_line_that_is_too_long_goes_on_in_the_next_row() -> None:
    line = click.style("a" * (COLUMNS - 1), fg="red") + "b" * (COLUMNS + 2)
    assert rows(drawn([line])) == ["a" * (COLUMNS - 1) + "b", "b" * COLUMNS, "b"]


def test_a_picture_has_the_colours_and_they_end() -> None:
    picture = drawn([click.style("ns1", fg="red", bold=True) + " is out", "ns2"])
    red = COLOURS["31"]
    assert f'<tspan fill="{red}" font-weight="bold">ns1</tspan> is out</text>' in picture
    assert picture.count("tspan") == 2
