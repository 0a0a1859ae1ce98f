"""Makes worlds equal that differ only in their times."""

from __future__ import annotations

import json

from tests.model.world import EPOCH, LONG_AGO, TICK, UPTIME, Member, World, is_over, order


def settle(world: World) -> World:
    """Flood every change, and make worlds equal that differ only in their times.

    Ages are put into classes: as long as a withdrawal may be taken back, below the shortest
    hold-down, below an hour, above an hour.
    """
    members = tuple(_settle(member, world.tick) for member in world.members)
    return World(
        members,
        stranger=world.stranger,
        slow=world.slow,
        damage=world.damage,
        split=world.split,
    )


def _settle(member: Member, tick: int) -> Member:
    young = tick - member.withdrawn < 56
    return member._replace(
        flooded=member.announces,
        changed=LONG_AGO,
        acted=LONG_AGO,
        due=0,
        drains=None if member.drains is None else LONG_AGO,
        boot=0,
        latch=_settle_latch(member, tick),
        hold=_settle_hold(member, tick),
        withdrawn=-20 if young else LONG_AGO,
        scarce=LONG_AGO,
    )


def _settle_latch(member: Member, tick: int) -> str | None:
    if member.latch is None:
        return None
    said = json.loads(member.latch)
    clock = EPOCH + tick // 2
    old = [EPOCH - 4000]
    settled: dict[str, object] = {
        "boot_id": "boot-0" if said["boot_id"] == member.boot_id else "boot-x",
        "withdrawals": old * min(4, _lately(said["withdrawals"], clock)),
        "restores": old * min(2, _lately(said["restores"], clock)),
        "take_backs": [EPOCH - 300] * min(2, _lately(said.get("take_backs", []), clock, 600)),
    }
    if said.get("since") is not None:
        age = UPTIME + tick * TICK - said["since"]
        classes = ((28, 10.0), (60, 40.0), (3600, 80.0))
        settled["since"] = UPTIME - next((c for limit, c in classes if age < limit), 3700.0)
        settled |= {"by": "x", "reason": "x"}
    return json.dumps(settled, sort_keys=True) + "\n"


def _lately(times: list[int], clock: int, seconds: int = 86400) -> int:
    return sum(clock - at < seconds for at in times)


def _settle_hold(member: Member, tick: int) -> str | None:
    hold = order(member.hold)
    if hold is None:
        return None
    over = is_over(hold, EPOCH + tick // 2)
    said = {"since": EPOCH - 200, "until": EPOCH - 100 if over else None, "announced": hold.present}
    return json.dumps({**said, "by": "x", "reason": "x"}, sort_keys=True) + "\n"
