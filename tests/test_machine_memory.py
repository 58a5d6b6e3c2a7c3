"""Memory that there is, and that a process has: containers, systems without /proc, peaks that are not forgotten."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("psutil")

from hypertok.errors import InputError
from hypertok.model import memory
from hypertok.model.memory import memory_of_machine, require_memory


def test_more_than_all_memory_is_refused_with_its_parts() -> None:
    most = memory_of_machine()
    require_memory({"weights": most}, "loading it needs", "take less")
    with pytest.raises(
        InputError, match=r"^loading it needs about .* GiB of memory \(weights .* GiB, rows 0\.00 GiB\) and"
    ):
        require_memory({"weights": most, "rows": 1}, "loading it needs", "take less")
    with pytest.raises(InputError, match=r"2\.00 GiB of memory .* there is 1\.00 GiB; take less$"):
        require_memory({"weights": 2 << 30}, "loading it needs", "take less", memory=1 << 30)


def test_a_container_has_the_memory_that_it_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = memory_of_machine()
    monkeypatch.setattr(memory, "_GROUP", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "_LIMITS", {"": (tmp_path / "two", "max"), "memory": (tmp_path / "one", "limit")})
    assert memory_of_machine() >= whole, "no such file, as on macOS"
    for folder, limit in (("two/a", "max"), ("two/a/b", str(1 << 62)), ("one", "9")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / ("limit" if folder == "one" else "max")).write_text(f"{limit}\n", encoding="utf-8")
    (tmp_path / "cgroup").write_text("3:cpuset:/\n0::/a/b\n", encoding="utf-8")
    assert memory_of_machine() >= whole
    (tmp_path / "two" / "a" / "max").write_text("5\n", encoding="utf-8")
    assert memory_of_machine() == 5
    (tmp_path / "cgroup").write_text("4:memory:/a\n", encoding="utf-8")
    assert memory_of_machine() == 9


@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_memory_is_told_without_proc(system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS and Windows, by a psutil and a `resource` that answer as theirs do."""
    usage = {"rss": 5 << 20, **({"peak_wset": 9 << 20} if system == "win32" else {})}
    process = SimpleNamespace(memory_info=lambda: SimpleNamespace(**usage))
    monkeypatch.setitem(sys.modules, "psutil", SimpleNamespace(Process=lambda: process))
    most = 9 << 20 if system == "darwin" else 9 << 10
    asked = SimpleNamespace(RUSAGE_SELF=0, getrusage=lambda who: SimpleNamespace(ru_maxrss=most))
    monkeypatch.setitem(sys.modules, "resource", None if system == "win32" else asked)  # type: ignore[arg-type]
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "none")
    monkeypatch.setattr(memory.sys, "platform", system)  # type: ignore[attr-defined]
    told = memory.peak_method(False), memory.resident("VmRSS"), memory.resident("VmHWM")
    name = "peak working set" if system == "win32" else "peak RSS (ru_maxrss)"
    assert told == (f"{name} of a fresh process, loading included", 5 << 20, 9 << 20)


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="a system that forgets no peak")
def test_a_peak_that_cannot_be_forgotten_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose /proc is read only, or a sandbox that tells no peak."""
    assert memory.forget_peak()
    assert memory.peak_method(True) == "peak RSS of a fresh process"
    monkeypatch.setattr(memory, "_CLEAR", tmp_path / "none" / "clear_refs")
    assert not memory.forget_peak()
    assert memory.peak_method(False) == "peak RSS of a fresh process, loading included"
    status = tmp_path / "status"
    status.write_text("VmRSS:  7 kB\n", encoding="utf-8")
    monkeypatch.setattr(memory, "_STATUS", status)
    assert memory.resident("VmRSS") == 7 << 10
    with pytest.raises(InputError, match="tells no VmHWM"):
        memory.resident("VmHWM")


def test_the_real_psutil_agrees_with_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, most = memory.resident("VmRSS"), memory.resident("VmHWM")
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "none")
    assert memory.resident("VmRSS") == pytest.approx(here, rel=0.1)
    assert memory.resident("VmHWM") >= 0.9 * most > 0
