"""Reads one call at a time from the inherited socket, runs the step's code, and writes what became
of it. Between calls it sleeps in read(), with every signal blocked and every timer stopped, so
that nothing that an earlier step left behind runs while no step does. Processes that a step leaves
are ended with it; threads cannot be, so the sandbox is.

A frame is 4 bytes of length (big-endian), 1 byte of kind, and as many bytes as the length says.
From the server: S, a call; C, files to be read as a call would and not run. From here: H, ready;
O and E, printed text; R, the result of either.

What only some steps need is imported when they do: a sandbox starts in a few milliseconds.
"""

import _signal
import _thread
import json
import os
import sys
from time import sleep
from types import CoroutineType

from . import contract, hooks, output

SOCKET = 3  # the inherited socket
HEADER = 5
SIGNALS = _signal.valid_signals()
TIMERS = (_signal.ITIMER_REAL, _signal.ITIMER_VIRTUAL, _signal.ITIMER_PROF)


class Wire:
    """The runner's end of the inherited socket."""

    def __init__(self):
        self._lock = _thread.allocate_lock()
        self.is_child = False
        os.set_inheritable(SOCKET, False)
        os.register_at_fork(after_in_child=self._forked)

    def _forked(self):
        # The socket stays with the runner: what the child prints takes the other way.
        self.is_child = True
        self._lock = _thread.allocate_lock()
        os.close(SOCKET)

    def send(self, kind, payload=b""):
        """Writes a frame; blocks while the server does not read."""
        frame = memoryview(len(payload).to_bytes(4, "big") + kind + payload)
        with self._lock:
            while frame:
                frame = frame[os.write(SOCKET, frame) :]

    def receive(self):
        """Waits for the next frame. The server never sends one before the last is answered."""
        header = self._exactly(HEADER)
        payload = self._exactly(int.from_bytes(header[:4], "big"))
        return header[4:], json.loads(payload)

    def _exactly(self, count):
        buffer = bytearray(count)
        rest = memoryview(buffer)
        while rest:
            got = os.readv(SOCKET, [rest])
            if got == 0:
                os._exit(0)
            rest = rest[got:]
        return bytes(buffer)


def check(call, step, runtime):
    """Reads the files of steps and runs none."""
    for entry in call["entries"]:
        runtime.read(entry)
    return contract.success(step, None, call["output_bytes"])


def failure(step, error, loading):
    """The text of a failed result."""
    from . import errors

    return contract.failure(step, errors.describe(error, loading))


def quiet():
    """Stops what a step has left, and says what that was. True if something goes on."""
    for timer in TIMERS:
        _signal.setitimer(timer, 0)
    sys.settrace(None)
    sys.setprofile(None)
    _signal.pthread_sigmask(_signal.SIG_BLOCK, SIGNALS)
    while _signal.sigtimedwait(SIGNALS, 0):
        pass
    if end_processes():
        print("the step left processes running: they were ended with it", file=output.stderr)
    threads = _thread._count()
    if threads:
        which = "a thread" if threads == 1 else f"{threads} threads"
        message = f"the step left {which} running: the sandbox ends with it; join them to keep it"
        print(message, file=output.stderr)
    return threads > 0


def end_processes():
    """Ends every other process of the sandbox; True if there was one."""
    reap(os.WNOHANG)
    try:
        os.kill(-1, _signal.SIGKILL)  # not to this process, nor to PID 1, which is not ours
    except (ProcessLookupError, PermissionError):
        return False
    reap(0)
    # Those that have lost their parents are PID 1's to reap.
    for _ in range(1000):
        try:
            os.kill(-1, 0)
        except (ProcessLookupError, PermissionError):
            break
        sleep(0.001)
    return True


def reap(options):
    try:
        while os.waitpid(-1, options)[0]:
            pass
    except ChildProcessError:
        pass


def serve(wire, runtime):
    wire.send(b"H")
    while True:
        kind, call = wire.receive()
        if call["id"] == 1:
            os.chdir("/code")  # the files are there since the call is
        step = contract.Step(call["id"])
        output.begin()
        _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
        is_check = kind == b"C"
        try:
            text = check(call, step, runtime) if is_check else runtime.run(call, step)
        except BaseException as error:  # sys.exit() and KeyboardInterrupt, too
            text = failure(step, error, is_check or runtime.is_loading)
        if wire.is_child:
            output.end()
            os._exit(0)  # a forked process has come out of the step's code: it has no say
        discard = quiet()
        output.end()
        wire.send(b"R", contract.with_discard(text, discard))


class Python:
    """Steps written in Python."""

    def __init__(self):
        self.is_loading = False
        self._handlers = {}

    def run(self, call, step):
        """Runs a step; the text of its result."""
        self.is_loading = True
        handler = self._load(call["entry"])
        self.is_loading = False
        value = handler(contract.Pd(step, call))
        if isinstance(value, CoroutineType):
            import asyncio

            value = asyncio.run(value)
        return contract.success(step, value, call["output_bytes"])

    def read(self, entry):
        from . import check

        check.read(entry)

    def _load(self, entry):
        """A step's handler."""
        known = self._handlers.get(entry)
        if known is None:
            module = hooks.load(entry)
            known = self._handlers[entry] = contract.handler_of(entry, module)
        return known


def main(arguments):
    wire = Wire()
    output.install(wire)
    hooks.install()
    if arguments == ["bash"]:
        from .bash import Bash as Runtime
    else:
        Runtime = Python
    runtime = Runtime()
    _signal.pthread_sigmask(_signal.SIG_BLOCK, SIGNALS)
    serve(wire, runtime)
