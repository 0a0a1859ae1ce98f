"""What a check asks the routing daemons of its own host."""

from __future__ import annotations

from pathlib import Path

from anycast_checks.addresses import Addresses, Assigned
from anycast_checks.check_route import _of_the_address
from anycast_checks.errors import NotStartedError
from anycast_checks.options import Options
from anycast_checks.routing.bird_bgp import DAEMON
from anycast_checks.routing.daemon import Question, RoutingState
from anycast_checks.run import CheckRun
from anycast_checks.this_router import ThisRouter
from anycast_checks.verdict import WARNING

VIP = "192.0.2.53"


def asked(question: Question) -> tuple[int, str, str] | Exception:
    options = Options(address=VIP, deadline=10, verbose=0)
    (told,) = ThisRouter(options, CheckRun()).ask([question])
    return told


def question(socket: Path, *, only_there: bool) -> Question:
    echo = ("/bin/echo", "yes")
    return Question(echo, echo, (str(socket),), only_there=only_there)


def test_a_daemon_without_its_socket_is_not_there_and_is_not_asked(tmp_path: Path) -> None:
    assert isinstance(asked(question(tmp_path / "no", only_there=True)), NotStartedError)
    assert asked(question(tmp_path / "no", only_there=False)) == (0, "yes\n", "")


def test_one_with_its_socket_is_asked(tmp_path: Path) -> None:
    (tmp_path / "bird.ctl").touch()
    assert asked(question(tmp_path / "bird.ctl", only_there=True)) == (0, "yes\n", "")


def test_one_whose_program_is_missing_is_there_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "bird.ctl").touch()
    words = (str(tmp_path / "anycast-birdc"), VIP)
    told = asked(Question(words, words, (str(tmp_path / "bird.ctl"),), only_there=True))
    assert not isinstance(told, NotStartedError)
    assert "anycast-birdc: no such file or directory: `anycast-handler gate --install`" in str(told)


def test_what_may_be_there_is_asked(tmp_path: Path) -> None:
    """The path leads through a file here; through a closed directory no path leads for root."""
    (tmp_path / "file").touch()
    assert asked(question(tmp_path / "file" / "bird.ctl", only_there=True)) == (0, "yes\n", "")


def test_an_address_that_is_tentative_is_not_called_withdrawn() -> None:
    """Nobody has withdrawn it, and nothing else would tell why it is away."""
    vip = "2001:db8:99::53"
    shown = Addresses((Assigned("anycast0", vip, 128, "", "tentative"),))
    says = f"{vip} is tentative on anycast0, where this host does not answer"
    silent = RoutingState(DAEMON, announced=False)
    assert _of_the_address(vip, shown, silent, 1) == [(WARNING, says)]
