"""Withdraw and restore on an endpoint without deciding anything, as an act does it."""

from __future__ import annotations

from dataclasses import replace

from anycast_handlers.endpoint.change import Change, Note
from anycast_handlers.endpoint.look import Look
from anycast_handlers.endpoint.site import Site


def withdraw(site: Site, *notes: Note) -> tuple[Look, str]:
    """Take the VIP away; returns the look afterwards, and the last command that was run."""
    look = site.look()
    return _make(site, site.withdrawal(site.activator(), look, *notes))


def restore(
    site: Site, before: tuple[Note, ...] = (), after: tuple[Note, ...] = ()
) -> tuple[Look, str]:
    """Bring the VIP back; returns as withdraw does."""
    look = site.look()
    return _make(site, site.restoration(site.activator(), look, before, after))


def _make(site: Site, change: Change) -> tuple[Look, str]:
    report = site.change(change)
    commands = [step.argv for step in site.steps if step.argv[0].startswith("/")]
    program, *words = commands[-1]
    did = " ".join((program.rsplit("/", 1)[-1], *words))
    return replace(change.look, addresses=report.after), did
