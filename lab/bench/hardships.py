"""What makes an endpoint harder to watch: a kernel that tells less, a process that dies slowly."""

from __future__ import annotations

from lab import sshd
from lab.host import Host
from lab.lab import Endpoint
from lab.unbound import CONFIGURATION
from lab.waiting import wait_until

GIB = 1 << 30
# Forbids itself and its children the sockets by which the kernel tells of sockets that are closed,
# and becomes the program that is named. It is root, so that sudo goes on working in the children.
DENY = """
import ctypes, os, platform, socket, struct, sys
NUMBER = {"x86_64": 41, "aarch64": 198}[platform.machine()]  # of the system call socket
PR_SET_SECCOMP, FILTER, ALLOW, ERRNO = 22, 2, 0x7FFF0000, 0x00050000
EPROTONOSUPPORT, AF_NETLINK, SOCK_DIAG = 93, 16, 4
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
# The number of the system call, and the low halves of its first and third argument.
program = [
    (LOAD, 0, 0, 0), (EQUAL, 0, 5, NUMBER),
    (LOAD, 0, 0, 16), (EQUAL, 0, 3, AF_NETLINK),
    (LOAD, 0, 0, 32), (EQUAL, 0, 1, SOCK_DIAG),
    (RETURN, 0, 0, ERRNO | EPROTONOSUPPORT), (RETURN, 0, 0, ALLOW),
]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in program))
head = ctypes.create_string_buffer(struct.pack("HP", len(program), ctypes.addressof(code)))
if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_SECCOMP, FILTER, ctypes.byref(head), 0, 0):
    sys.exit(os.strerror(ctypes.get_errno()))
try:
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, SOCK_DIAG)
except OSError:
    os.execv(sys.argv[1], sys.argv[1:])
sys.exit("the kernel still tells")
"""
# A module of unbound that only holds memory, every page of which it has touched.
HOLD = """
held = b"x" * {size}
def init(id, cfg): return True
def deinit(id): return True
def inform_super(id, qstate, superqstate, qdata): return True
def operate(id, event, qstate, qdata):
    qstate.ext_state[id] = MODULE_WAIT_MODULE if event == MODULE_EVENT_NEW else MODULE_FINISHED
    return True
"""
# Debian has the part of unbound that is in Python there.
LIBRARIES = "/usr/lib/python3/dist-packages"
HOLDER = "/etc/unbound/hold.py"


def hear_no_sockets(host: Host) -> None:
    """Let nothing that is started by SSH hear from the kernel of sockets that are closed."""
    host.end_daemon(sshd.PIDFILE)
    sshd.listen(host, "/usr/bin/python3", "-I", "-c", DENY)


def grow(endpoint: Endpoint, gib: int) -> None:
    """Let the resolver of an endpoint hold so much memory more, as a large cache does."""
    host = endpoint.host
    endpoint.resolver.kill()
    host.write(HOLDER, HOLD.format(size=gib * GIB))
    text = host.read(CONFIGURATION).replace('module-config: "', 'module-config: "python ')
    host.write(CONFIGURATION, f"{text}python:\n    python-script: {HOLDER}\n")
    start = ["env", f"PYTHONPATH={LIBRARIES}", "unbound", "-c", CONFIGURATION]
    host.run(start, check=True, timeout=120)
    wait_until(
        lambda: host.run(["unbound-control", "-c", CONFIGURATION, "status"]).returncode == 0,
        "the large resolver runs",
        60,
    )
