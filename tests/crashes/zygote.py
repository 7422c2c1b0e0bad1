"""A process that has imported everything and forks one guard's life after the other.

It has one thread and no event loop, so that what it forks begins clean, in milliseconds instead of seconds.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
import traceback

from tests.crashes.life import Life, live

_LONGEST = 1 << 20


def main(control: socket.socket) -> None:
    """Fork a life for each order; the order's descriptors are its lines from and to the agent."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are buried at once
    gc.freeze()
    while True:
        data, descriptors, _, _ = socket.recv_fds(control, _LONGEST, 2)
        if not data:
            return
        lines = [socket.socket(fileno=descriptor) for descriptor in descriptors]
        pid = os.fork()
        if pid == 0:
            _child(Life(**json.loads(data)), control, lines)
        for line in lines:
            line.close()
        control.send(str(pid).encode())


def _child(life: Life, control: socket.socket, lines: list[socket.socket]) -> None:
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        control.close()
        live(life, *lines)
        status = 0
    except BaseException:  # noqa: BLE001 - whatever it is, this process must end here
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
