"""What the figures were measured on."""

import datetime
import os
import platform
import re
import sqlite3
import subprocess
from pathlib import Path

from .paths import CAUSEWAY, NODE, ROOT
from .processes import BenchError, run


def first_line(command):
    """A program's version, or a dash where it does not say one."""
    try:
        return run(command).strip().splitlines()[0]
    except (BenchError, OSError, IndexError, subprocess.TimeoutExpired):
        return "–"


def load_average():
    return os.getloadavg()[0]


def facts():
    """Name and value of each fact, as texts."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    wrk = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False, timeout=10)
    return [
        ("date", datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")),
        ("processor", f"{os.cpu_count()} × {cpu[1].strip() if cpu else platform.machine()}"),
        ("memory", f"{int(memory[1]) / 1048576:.0f} GiB" if memory else "–"),
        ("kernel", f"{platform.system()} {platform.release()}"),
        ("disk", file_system(ROOT)),
        ("Causeway", f"{first_line([CAUSEWAY, '--version'])}, commit {commit()}"),
        ("Rust", first_line(["rustc", "--version"])),
        ("Node", first_line([NODE, "--version"])),
        ("Python's SQLite", sqlite3.sqlite_version),
        ("wrk", " ".join(wrk.stdout.split()[:2]) or "–"),
    ]


def file_system(path):
    """The type of the file system under a path, by the longest mount point that holds it."""
    best = ("", "–")
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mount, kind, *_ = line.split()
        if str(path).startswith(mount.rstrip("/") + "/") and len(mount) > len(best[0]):
            best = (mount, kind)
    return best[1]


def commit():
    name = first_line(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"])
    changed = run(["git", "-C", ROOT, "status", "--porcelain"]).strip()
    return f"{name} and changes on it" if changed else name
