"""Memory: what this machine has, what this process has now and had at the most."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypertok.errors import InputError

#: Where Linux tells the control groups of a process, and by controller where their limits lie (version 2 names none).
_GROUP = Path("/proc/self/cgroup")
_LIMITS = {
    "": (Path("/sys/fs/cgroup"), "memory.max"),
    "memory": (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
}
#: Where it tells what is resident, and is told to forget the peak.
_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def memory_of_machine() -> int:
    """Bytes that this process can have: the machine's, swap included, or what its control group, a container's, allows.

    What lies in swap is slow, but does not fail.
    """
    import psutil  # type: ignore[import-untyped, unused-ignore]

    told = [int(psutil.virtual_memory().total + psutil.swap_memory().total)]
    with suppress(OSError, ValueError):  # not on Linux
        for line in _GROUP.read_text(encoding="utf-8").splitlines():
            _, of, path = line.split(":", 2)
            if of not in _LIMITS:
                continue
            root, name = _LIMITS[of]
            folder = root / path.lstrip("/")
            for one in (folder, *folder.parents):
                limit = one / name
                if limit.is_file() and (said := limit.read_text(encoding="utf-8").strip()).isdecimal():
                    told.append(int(said))
    return min(told)


def require_memory(parts: Mapping[str, int], what: str, remedy: str, *, memory: int | None = None) -> None:
    """Refuse what is sure to fail: more bytes than all the memory there is.

    Args:
        parts: bytes by what takes them.
        what: what needs them, and the verb: "the model needs".
        memory: bytes that there are, of a GPU; None for those of the machine.

    Raises:
        InputError: there are not so many; the message names the parts.
    """
    needed, memory = sum(parts.values()), memory_of_machine() if memory is None else memory
    if needed > memory:
        told = ", ".join(f"{part} {_gib(size)}" for part, size in parts.items())
        raise InputError(f"{what} about {_gib(needed)} of memory ({told}) and there is {_gib(memory)}; {remedy}")


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"


def resident(line: str) -> int:
    """Bytes resident now (VmRSS) or at the most (VmHWM).

    Raises:
        InputError: the system does not tell.
    """
    if not _STATUS.is_file():
        return _resident_without_proc(peak=line == "VmHWM")
    found = next((one for one in _STATUS.read_text().splitlines() if one.startswith(line)), None)
    if found is None:  # a sandbox's kernel
        raise InputError(f"{_STATUS} tells no {line}, so memory cannot be measured here; leave it out")
    return int(found.split()[1]) << 10


def forget_peak() -> bool:
    """Begin the peak anew from what is resident now; whether the system let us."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return False
    return True


def peak_method(forgotten: bool) -> str:
    """What the peak is of; `forgotten`: the loading is not in it."""
    if _STATUS.is_file():
        return f"peak RSS of a fresh process{'' if forgotten else ', loading included'}"
    name = "peak working set" if hasattr(_usage(), "peak_wset") else "peak RSS (ru_maxrss)"
    return f"{name} of a fresh process, loading included"


def _resident_without_proc(*, peak: bool) -> int:
    usage = _usage()
    if not peak:
        return int(usage.rss)
    if hasattr(usage, "peak_wset"):  # Windows, which has no `resource`
        return int(usage.peak_wset)
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most << 10  # bytes on macOS, KiB elsewhere


def _usage() -> Any:
    """What psutil knows of the memory of this process."""
    import psutil

    return psutil.Process().memory_info()
