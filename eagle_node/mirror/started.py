"""When the process behind a Unix socket was started."""

from __future__ import annotations

import os
import socket
import struct
import time
from pathlib import Path

_CREDENTIALS = struct.Struct("3i")
"""``struct ucred`` (unix(7)): pid, uid, gid."""


def listener_started(path: Path) -> float | None:
    """Seconds since the epoch; None when nobody listens, or /proc does not tell."""
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(5.0)
            probe.connect(str(path))
            raw = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid = _CREDENTIALS.unpack(raw)[0]
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # Field 22 is the time since boot in ticks; field 2 may hold blanks and ends with a bracket
    # (proc_pid_stat(5)). /proc/stat's own time of boot is in whole seconds: too coarse.
    ticks = int(text.rpartition(")")[2].split()[19])
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - age
