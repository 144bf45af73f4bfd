"""Starting and stopping programs, and waiting for what they do. Everything is bounded in time, and
only what was started here is stopped."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class BenchError(Exception):
    """A benchmark that cannot go on; the text says why and what to do."""


def _die_with_parent():
    """In the child: even a killed benchmark leaves no server behind."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port():
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(what, done, limit, pause=0.01):
    """Calls `done` until it returns something true, at most `limit` seconds."""
    deadline = time.monotonic() + limit
    while True:
        found = done()
        if found:
            return found
        if time.monotonic() > deadline:
            raise BenchError(f"{what}: still not so after {limit} s")
        time.sleep(pause)


def http(url, body=None, headers=None, timeout=10.0):
    """The status and body of a request. 0 while nobody listens."""
    request = urllib.request.Request(url, data=body, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""


def run(command, cwd=None, env=None, limit=120.0, quiet=True):
    """Runs a program to its end and returns what it printed."""
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=env, timeout=limit, check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.PIPE if quiet else None, text=True, preexec_fn=_die_with_parent,
    )
    if done.returncode != 0:
        tail = "\n".join(((done.stdout or "") + (done.stderr or "")).splitlines()[-15:])
        words = " ".join(str(word) for word in command[:3])
        raise BenchError(f"`{words} …` ended with {done.returncode}:\n{tail}")
    return done.stdout or ""


class Server:
    """A server in its own process group, its output in a file."""

    def __init__(self, name, command, log, env=None):
        self.name = name
        self.log = Path(log)
        with self.log.open("ab") as out:
            self.started = time.perf_counter()
            self.process = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env=env, start_new_session=True, preexec_fn=_die_with_parent,
            )

    @property
    def pid(self):
        return self.process.pid

    def await_http(self, url, limit=120.0, body=None, holds=b""):
        """Waits for a 200 that holds this text; returns the seconds since the start."""
        def answered():
            if self.process.poll() is not None:
                tail = self.log.read_text(errors="replace")[-2000:]
                raise BenchError(f"{self.name} ended with {self.process.returncode}:\n{tail}")
            headers = {"content-type": "application/json"} if body else None
            status, answer = http(url, body, headers, timeout=5.0)
            return status == 200 and holds in answer
        wait_until(f"{self.name} answers at {url}", answered, limit, pause=0.002)
        return time.perf_counter() - self.started

    def stop(self):
        """Asks it to stop, then kills what is left of its group."""
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(15)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait(5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def rss_mib(pid):
    """Resident memory of one process, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise BenchError(f"process {pid} has no VmRSS: it has ended")


def children(pid):
    """The processes below one, at any depth."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name stands in brackets and may hold anything; the parent is the second after.
            fields = stat.read_text().rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, open_ = [], [pid]
    while open_:
        below = parents.get(open_.pop(), [])
        found += below
        open_ += below
    return found


def cpu_seconds(pid):
    """Processor time that a process and its ended children have used, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")
