"""Standard output and error: each line becomes a frame at once, so that nothing is lost when the
process is ended. What one write prints stays together, whatever line feeds are in it."""

import _thread
import io
import os
import sys

LONGEST = 256 << 10  # bytes of one frame
HELD = 64 << 10  # bytes without a line feed at their end that wait for one

stdout = None
stderr = None


class Frames(io.BufferedIOBase):
    """Writes what is written to it as frames of one kind."""

    def __init__(self, wire, kind, number, name):
        self.name = name
        self.mode = "wb"
        self._wire = wire
        self._kind = kind
        self._number = number
        self._held = bytearray()
        self._lock = _thread.RLock()

    def writable(self):
        return True

    def fileno(self):
        return self._number

    def write(self, data):
        with self._lock:
            self._held += data
            if self._held.endswith(b"\n") or len(self._held) > HELD:
                self.flush()
        return len(data)

    def flush(self):
        with self._lock:
            held, self._held = bytes(self._held), bytearray()
            for at in range(0, len(held), LONGEST):
                piece = held[at : at + LONGEST]
                if self._wire.is_child:
                    os.write(self._number, piece)
                else:
                    self._wire.send(self._kind, piece)

    def close(self):
        """As the interpreter's own: it cannot be closed."""


def install(wire):
    """Puts the streams in place of the interpreter's."""
    global stdout, stderr
    stdout = stream(wire, b"O", 1, "<stdout>")
    stderr = stream(wire, b"E", 2, "<stderr>")
    begin()


def stream(wire, kind, number, name):
    frames = Frames(wire, kind, number, name)
    return io.TextIOWrapper(frames, "utf-8", "backslashreplace", write_through=True)


def begin():
    """Each step begins with the streams in place."""
    sys.stdout = sys.__stdout__ = stdout
    sys.stderr = sys.__stderr__ = stderr


def end():
    """Nothing is held back past the end of a step."""
    for each in (stdout, stderr):
        each.flush()
        each.buffer.flush()
