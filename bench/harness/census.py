"""What a server and everything below it hold of the machine: processes, mounts, cgroups, open files."""

import contextlib
import os
from collections import Counter
from pathlib import Path

from .processes import children, rss_mib

CGROUPS = Path("/sys/fs/cgroup")
# How deep below the file system's root the groups of a server may be.
DEPTH = 6


def identity(pid):
    """A process by its id and start time, which no later one shares; None once it has ended."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] == "Z" else (pid, fields[19])
    return None


def is_zombie(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return False


def groups(pids):
    """The names of the cgroups that servers with these process ids have made. A sandbox has one in
    each hierarchy of version 1, under the same name."""
    found = set()
    prefixes = tuple(f"causeway-{pid}-" for pid in pids)

    def look(folder, depth):
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name.startswith(prefixes):
                        found.add(entry.name)
                    elif depth:
                        look(entry.path, depth - 1)
    look(CGROUPS, DEPTH)
    return found


def open_files(pid):
    """How many descriptors of each kind a process has."""
    kinds = Counter()
    with contextlib.suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                target = os.readlink(link)
                kind = target.partition(":")[0] if not target.startswith("/") else "file"
                kinds["deleted" if target.endswith("(deleted)") and kind == "file" else kind] += 1
    return kinds


def machine_mounts():
    return len(Path("/proc/self/mountinfo").read_text().splitlines())


def files(folder):
    """The files below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def take(pid, data, temporary):
    """Counts everything once. What ends meanwhile is not counted."""
    below = children(pid)
    spaces = {}
    sockets = 0
    for each in [pid, *below]:
        with contextlib.suppress(OSError):
            space = os.readlink(f"/proc/{each}/ns/mnt")
            if space not in spaces:
                spaces[space] = len(Path(f"/proc/{each}/mountinfo").read_text().splitlines())
        sockets += open_files(each)["socket"]
    own = open_files(pid)
    return {
        "processes": sum(1 for each in below if not is_zombie(each)),
        "zombies": sum(1 for each in below if is_zombie(each)),
        "mount namespaces": len(spaces),
        "mounts in them": sum(spaces.values()),
        "mounts of the machine": machine_mounts(),
        "cgroups": len(groups([pid])),
        "sockets of all": sockets,
        "server's sockets": own["socket"],
        "server's pipes": own["pipe"],
        "server's files": own["file"],
        "server's deleted files": own["deleted"],
        "server's other descriptors": sum(own.values()) - own["socket"] - own["pipe"] - own["file"] - own["deleted"],
        "server's threads": sum(1 for _ in Path(f"/proc/{pid}/task").iterdir()),
        "server's memory, MiB": round(rss_mib(pid)),
        "files in the data folder": len(files(data)),
        "temporary files": len(files(temporary)),
    }
