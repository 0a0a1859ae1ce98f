"""What a restore will need, tried before a drill withdraws the endpoint."""

from __future__ import annotations

from dataclasses import replace

from ..decision.facts import State
from ..endpoint.check import instance_of, is_ours
from ..endpoint.confirmation import confirm_instance
from ..endpoint.look import Look
from ..endpoint.site import Site
from ..errors import ChangedMeanwhileError, HandlerError
from .parts import Parts

# The id of no boot, so that the helper on the endpoint finds that it is not asked for this one.
NO_BOOT = "rehearsal"


def find_obstacle(parts: Parts, look: Look) -> str:
    """Say what would keep the endpoint from being restored; empty where nothing would."""
    with parts.outcome.timed("rehearse the restore"):
        return _silence_of_instance(parts.site) or _refusal_of_helper(parts, look)


def _silence_of_instance(site: Site) -> str:
    """Ask the instance as the confirmation of a restore does; say what is wrong with it."""
    instance = instance_of(site.vip)
    if instance is None:
        return (
            "with --instance none its check confirms no restore" if is_ours(site.vip.check) else ""
        )
    found = confirm_instance(site, instance)
    if found.state is State.OK:
        return ""
    return f"its check says {found.state.name} of {instance}, which it asks then: {found.said}"


def _refusal_of_helper(parts: Parts, look: Look) -> str:
    """Ask the helper for the restore, of a boot that there is not, so that it only compares."""
    site = parts.site
    activator = site.activator(parts.ahead.choice)
    steps = len(site.steps)
    try:
        site.change(site.restoration(activator, replace(look, boot_id=NO_BOOT), (), ()))
    except ChangedMeanwhileError:
        return ""
    except HandlerError as error:
        # Nothing was changed, so there is nothing to record.
        del site.steps[steps:]
        return str(error)
    return "the helper on the endpoint does not compare the boot: install it anew"
