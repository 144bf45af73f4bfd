"""Errors as the author of the code wants to see them."""

import errno
import traceback

from .contract import clean

ROOT = "/code/"
LONGEST = 4000
MOST_CAUSES = 4
HINTS = {
    "disk_limit": ": the temporary disk is full; raise `limits.disk_mib` in workflow.yaml",
    "process_limit": ": the sandbox may have no more processes; raise `limits.processes` in workflow.yaml",
    "memory_limit": ": the sandbox may have no more memory; raise `limits.memory_mib` in workflow.yaml",
}


def describe(error, loading):
    """What the report says of an error. `loading`: no line of the step's function has run."""
    if isinstance(error, SystemExit):
        code = repr(error.code)[:20] if error.code is not None else ""
        message = f"the step called sys.exit({code}): return from the function, or raise, instead"
        return {"code": "process_exited", "message": message}
    code = failure_code(error, loading)
    message = headline(error)
    if code == "syntax_error" and isinstance(error, SyntaxError) and error.lineno:
        message = f"{place(error)}: {message}\n  {(error.text or '').strip()[:200]}"
    elif code == "syntax_error" and getattr(error, "place", None):
        message = f"{error.place}: {message}"
    seen = {id(error)}
    cause = behind(error)
    while cause is not None and id(cause) not in seen and len(seen) <= MOST_CAUSES:
        seen.add(id(cause))
        message += f"; caused by {headline(cause)}"
        cause = behind(cause)
    message += HINTS.get(code, "")
    return {"code": code, "message": clip(message), "stack": stack_of(error)}


def behind(error):
    """What an error was raised from, or while handling."""
    if error.__cause__ is not None or error.__suppress_context__:
        return error.__cause__
    return error.__context__


def headline(error):
    if getattr(error, "failure", None):
        return str(error)
    try:
        text = error.msg if isinstance(error, SyntaxError) else str(error)
    except Exception as problem:  # a __str__ of the code's own
        text = f"<its text cannot be had: {type(problem).__name__}>"
    text = str(text).replace(ROOT, "")
    name = type(error).__name__
    return f"{name}: {text}" if text else name


def place(error):
    """`file:line:column` of an error in the form of a file."""
    return f"{str(error.filename).removeprefix(ROOT)}:{error.lineno}:{error.offset or 1}"


def failure_code(error, loading):
    if getattr(error, "failure", None):
        return error.failure
    each, count = error, 0
    while each is not None and count < MOST_CAUSES:
        if isinstance(each, MemoryError):
            return "memory_limit"
        if isinstance(each, OSError) and each.errno in (errno.ENOSPC, errno.EFBIG):
            return "disk_limit"
        if isinstance(each, BlockingIOError) and each.errno == errno.EAGAIN and forked(each):
            return "process_limit"
        if isinstance(each, RuntimeError) and str(each) == "can't start new thread":
            return "process_limit"
        each, count = behind(each), count + 1
    if loading and isinstance(error, (SyntaxError, ImportError)):
        return "syntax_error"
    return "user_error"


def forked(error):
    """Whether an error came out of starting a process: its last frame's line says so."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and "fork" in (frames[-1].line or "")


def stack_of(error):
    """The traceback with the frames of the code's own files, their paths below the program."""
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename.startswith(ROOT)
    ]
    if not own:
        return None
    lines = ["Traceback (most recent call last):"]
    for frame in own:
        lines.append(f'  File "{frame.filename.removeprefix(ROOT)}", line {frame.lineno}, in {frame.name}')
        if frame.line:
            lines.append(f"    {frame.line}")
    lines.append(headline(error))
    return clip("\n".join(lines))


def clip(text):
    text = clean(text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
