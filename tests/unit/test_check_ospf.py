"""`check_anycast route` and `pool`, where no host is needed."""

from __future__ import annotations

import pytest

from tests.support.program import check_anycast


@pytest.mark.parametrize("check", ["route", "pool"])
def test_ipv6_is_refused(check: str) -> None:
    seen = check_anycast(check, "-H", "2001:db8::53")
    assert seen.code == 3, seen.text
    assert "only IPv4" in seen.text
