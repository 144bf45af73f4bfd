"""Steps written for bash: this runner starts bash as its child, with what Python's steps get as
files, and gives what the step writes into files.

It is Python's runner that does so because it is there, starts soon and takes little memory; a
program of bash's own could not keep the protocol apart from what the step prints.

Clients in such a step reach the network by a SOCKS proxy (RFC 1928) on a Unix socket, which curl
takes from its environment. It dials as Python's own code does.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from tempfile import TemporaryDirectory

from . import contract

BASH = "/bin/bash"
CHUNK = 64 << 10
#: From a command that ended because a file was larger than the disk may be.
TOO_LARGE = (-signal.SIGXFSZ, 128 + signal.SIGXFSZ)


class Bash:
    """Steps written for bash."""

    is_loading = False

    def run(self, call, step):
        pd = contract.Pd(step, call)
        with TemporaryDirectory(prefix="step-") as folder:
            given = {
                "event": pd.event,
                "steps": pd.steps,
                "connections": pd.connections,
                "context": pd.context,
            }
            names = {name: os.path.join(folder, f"{name}.json") for name in given}
            for name, value in given.items():
                with open(names[name], "w") as file:
                    json.dump(value, file, ensure_ascii=False)
            names |= {name: os.path.join(folder, name) for name in ("result", "exports")}
            way = os.path.join(folder, "way.sock")
            environment = os.environ | {f"CAUSEWAY_{name.upper()}": path for name, path in names.items()}
            environment["ALL_PROXY"] = f"socks5h://localhost{way}"
            code = asyncio.run(finish(call["entry"], environment, way))
            if code != 0:
                raise ended(call["entry"], code)
            for name, value in exports(names["exports"], call["output_bytes"]):
                pd.export(name, value)
            value = value_of(read(names["result"], call["output_bytes"]))
            return contract.success(step, value, call["output_bytes"])

    def read(self, entry):
        """Raises what bash finds wrong with a file that it reads and does not run."""
        path = f"/code/{entry}"
        found = subprocess.run([BASH, "-n", path], capture_output=True, text=True, errors="replace")
        if found.returncode != 0:
            lines = found.stderr.strip().splitlines() or ["it cannot be read"]
            where, _, what = lines[0].removeprefix(f"{path}: line ").partition(": ")
            place = f"{entry}:{where}: {what}" if where.isdecimal() else f"{entry}: {lines[0]}"
            raise contract.StepError("syntax_error", place)


def ended(entry, code):
    """Why a step that failed did."""
    disk = os.statvfs("/tmp")
    # A disk that counts no files has none left, and lacks none.
    no_file_left = disk.f_files and disk.f_favail == 0
    if code in TOO_LARGE or disk.f_bavail == 0 or no_file_left:
        return contract.StepError("disk_limit", "the temporary disk is full")
    how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return contract.StepError("user_error", f"{entry} {how}; its log has what it printed")


def read(path, limit):
    """What a step has written into a file; None if it has not."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > limit:
                raise contract.too_much(size, limit)
            return file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return None


def value_of(text):
    """JSON, where a text is JSON, else the text without the line feed at its end."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text.removesuffix("\n")


def exports(path, limit):
    for line in (read(path, limit) or "").splitlines():
        name, is_one, value = line.partition("=")
        if is_one:
            yield name, value_of(value)


async def finish(entry, environment, way):
    """Runs a step to its end, while its clients are served; its exit code."""
    changed = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, changed.set)
    async with await asyncio.start_unix_server(socks, way):
        with subprocess.Popen([BASH, f"/code/{entry}"], env=environment) as child:
            while child.poll() is None:
                await changed.wait()
                changed.clear()
    return child.returncode


async def socks(reader, writer):
    """Serves one client of the proxy."""
    try:
        _, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        writer.write(b"\x05\x00")  # whoever is in the sandbox may
        _, command, _, kind = await reader.readexactly(4)
        length = (await reader.readexactly(1))[0] if kind == 3 else 16 if kind == 4 else 4
        name = await reader.readexactly(length)
        port = int.from_bytes(await reader.readexactly(2), "big")
        refusal, far = 7, None  # RFC 1928 section 6: the command is not supported
        if command == 1:
            refusal, far = await connected(host_of(kind, name), port)
        writer.write(bytes([5, refusal, 0, 1, 0, 0, 0, 0, 0, 0]))
        if far is not None:
            await asyncio.gather(copy(reader, far[1]), copy(far[0], writer))
    except (OSError, EOFError):
        pass  # one of the two has gone
    finally:
        writer.close()


def host_of(kind, name):
    if kind == 3:
        return name.decode("ascii", "replace")
    import socket

    return socket.inet_ntop(socket.AF_INET if kind == 1 else socket.AF_INET6, name)


async def connected(host, port):
    """RFC 1928's word for what became of a connection, and its two ends."""
    try:
        return 0, await asyncio.open_connection(host, port)
    except OSError as error:
        print(error.strerror or error, file=sys.stderr)  # the client will not know
        return 2, None


async def copy(reader, writer):
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
