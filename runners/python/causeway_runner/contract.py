"""The contract of a step's code: what it gets, what it may give, and how that is said."""

import json
import math
import time

DEEPEST = 100  # nesting of a value that a step gives
TOKEN = frozenset(
    "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)  # RFC 9110 section 5.6.2
# Headers that belong to the connection, which the step does not have.
HOP = frozenset(
    ("connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade")
)
# What to write instead of a value that JSON has no form for.
INSTEAD = {
    "bytes": "decode it, or encode it with base64",
    "bytearray": "decode it, or encode it with base64",
    "date": "convert it with .isoformat()",
    "datetime": "convert it with .isoformat()",
    "Decimal": "convert it with str()",
    "UUID": "convert it with str()",
    "set": "convert it with list()",
    "frozenset": "convert it with list()",
    "generator": "convert it with list()",
    "Response": "return its .json() or .text",
}


#: The longest wait that a step may ask for, in milliseconds: a year.
LONGEST_WAIT = 365 * 24 * 60 * 60 * 1000
#: How often a step is run again unless it says so, and how often at most.
USUAL_RERUNS = 10
MOST_RERUNS = 1000
#: How long a step waits to be resumed unless it says so: a day.
USUAL_SUSPENSION = 24 * 60 * 60 * 1000


class StepError(Exception):
    """An error whose code the report carries."""

    def __init__(self, code, message):
        super().__init__(message)
        self.failure = code


class Step:
    """A step that has been called."""

    def __init__(self, number):
        self.number = number
        self.exports = {}  # JSON by name
        self.respond = None
        self.exit = None
        self.wait = None
        self.size = 0  # of what is not among its results


class Flow:
    """`pd.flow`."""

    def __init__(self, step, links):
        self._step = step
        self._links = links

    def delay(self, ms):
        """Lets the next step wait, or until the link is called; gives the links that end the wait."""
        return self._wait("delay", ms, False)

    def suspend(self, ms=USUAL_SUSPENSION):
        """Lets the next step wait until the link is called, and ends the workflow if it is not."""
        return self._wait("suspend", ms, True)

    def rerun(self, ms, context=None, most=USUAL_RERUNS):
        """Runs this step again after a time, or when the link is called, so often at most."""
        if not isinstance(most, int) or isinstance(most, bool) or not 0 <= most <= MOST_RERUNS:
            raise ValueError(
                f"pd.flow.rerun(ms, context, most): most must be a whole number from 0 to {MOST_RERUNS}"
            )
        links = self._wait("rerun", ms, False)
        text = to_json("the context of pd.flow.rerun", context)
        self._step.size += len(text)
        self._step.wait = self._step.wait[:-1] + b',"rerun":{"context":%s,"most":%d}}' % (text, most)
        return links

    def _wait(self, name, ms, suspend):
        is_number = isinstance(ms, (int, float)) and not isinstance(ms, bool)
        if not is_number or not 1 <= ms <= LONGEST_WAIT:
            raise ValueError(f"pd.flow.{name}(ms): ms must be a number from 1 to {LONGEST_WAIT}, a year")
        if not self._links["resume_url"]:
            raise RuntimeError(f"pd.flow.{name}() is for steps of workflows: what runs by itself cannot wait")
        self._step.wait = b'{"ms":%d,"suspend":%s}' % (math.ceil(ms), b"true" if suspend else b"false")
        return dict(self._links)

    def exit(self, reason=""):
        """Ends the workflow with this step, as a success."""
        self._step.exit = clean(str(reason))[:1000]


class Pd:
    """What a handler gets."""

    def __init__(self, step, call):
        self._step = step
        self.event = call["event"]
        #: What earlier steps gave: steps["name"]["$return_value"], steps["name"]["export"].
        self.steps = {"trigger": {"event": self.event}, **call["steps"]}
        #: The linked accounts: connections["name"]["$auth"]["oauth_access_token"].
        self.connections = call["connections"]
        self.inputs = self.connections
        self.context = {
            **(call["context"] or {}),
            "invocation_id": call["invocation_id"],
            "step": call["step"],
            "attempt": call["attempt"],
            "idempotency_key": call["idempotency_key"],
            "deadline": int(time.time() * 1000) + call["wall_ms"],
        }
        self.flow = Flow(step, call["links"])

    def export(self, name, value):
        """Adds a named result."""
        if not is_name(name):
            raise TypeError(
                "pd.export(name, value): name must be a text of 1 to 200 characters, not `$return_value`"
            )
        self._step.exports[name] = to_json(name, value)

    def respond(self, answer):
        """Says what the caller of the trigger is answered: {"status": 200, "headers": {}, "body": …}."""
        self._step.respond = checked_answer(answer)


def is_name(name):
    return (
        isinstance(name, str)
        and 0 < len(name) <= 200
        and name != "$return_value"
        and name == clean(name)
    )


def handler_of(entry, module):
    """The function to call, of a loaded module."""
    found = getattr(module, "handler", None)
    if callable(found):
        return found
    what = "no `handler`" if found is None else f"a `handler` of type {type(found).__name__}"
    raise StepError("user_error", f"{entry} has {what}: write def handler(pd): …")


def success(step, value, limit):
    """The text of a result that succeeded."""
    returned = to_json("$return_value", value)
    exports = b",".join(name_json(name) + b":" + text for name, text in step.exports.items())
    size = step.size + len(returned) + sum(map(len, step.exports.values()))
    ends = b""
    if step.respond:
        text, length = step.respond
        size += length
        ends += b',"respond":' + text
    if step.exit is not None:
        ends += b',"exit":' + name_json(step.exit)
    if step.wait is not None:
        ends += b',"wait":' + step.wait
    if size > limit:
        raise too_much(size, limit)
    head = b'{"id":%d,"ok":{"value":' % step.number
    return head + returned + b',"exports":{' + exports + b"}" + ends + b"}}"


def too_much(size, limit):
    return StepError(
        "output_limit",
        f"the step gives {size} bytes of results, its limit is {limit} bytes: raise "
        "`limits.output_kib` in workflow.yaml, or keep large data in a store and return a reference",
    )


def failure(step, error):
    """The text of a result that failed."""
    return json.dumps({"id": step.number, "error": error}).encode()


def with_discard(text, discard):
    """Tells the server that the sandbox cannot be used again."""
    return text[:-1] + b',"discard":true}' if discard else text


def name_json(text):
    return json.dumps(text).encode()


def to_json(name, value):
    """JSON of a value, or an error that names the place that JSON cannot hold."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        why = unfit(value, name, 0, ()) or f"{name} cannot be written as JSON: {error}"
        raise StepError("exports_not_json", clean(why)) from None
    if text.count("[") + text.count("{") > DEEPEST and (why := unfit(value, name, 0, ())):
        raise StepError("exports_not_json", clean(why))
    # Half a surrogate pair is no character, but JSON can spell it.
    return text.encode("utf-8", "backslashreplace")


def unfit(value, path, depth, around):
    """Why JSON cannot hold a value, if it cannot: the first such place."""
    if value is None or isinstance(value, (str, bool, int)):
        return None
    if isinstance(value, float):
        return None if abs(value) < float("inf") else f"{path} is {value}, which JSON cannot hold"
    if id(value) in around or depth >= DEEPEST:
        return f"{path[:200]} is nested deeper than {DEEPEST} levels or contains itself"
    inside = (*around, id(value))
    if isinstance(value, (list, tuple)):
        parts = ((each, f"[{index}]") for index, each in enumerate(value))
    elif isinstance(value, dict):
        for key in value:
            if not (key is None or isinstance(key, (str, int, float))):
                return f"{path} has a key of type {type(key).__name__}, which JSON cannot hold"
        parts = ((each, f".{key}") for key, each in value.items())
    else:
        kind = type(value).__name__
        instead = INSTEAD.get(kind)
        return f"{path} is a {kind}, which JSON cannot hold" + (f": {instead}" if instead else "")
    for each, place in parts:
        why = unfit(each, path + place if depth < 8 else path, depth + 1, inside)
        if why:
            return why
    return None


def checked_answer(answer):
    """The text of an answer to the trigger's caller, and the length of its body."""

    def bad(why):
        return TypeError(f'pd.respond({{"status": …, "headers": …, "body": …}}): {why}')

    if not isinstance(answer, dict):
        raise bad("takes a dict")
    status = answer.get("status", 200)
    if not isinstance(status, int) or not 200 <= status <= 599:
        raise bad("status must be a number from 200 to 599")
    headers = []
    for name, given in (answer.get("headers") or {}).items():
        lower = str(name).lower()
        if not lower or not TOKEN.issuperset(lower):
            raise bad(f"{name!r} is not a header name")
        if lower in HOP:
            raise bad(f"the header {lower} is set by the server")
        for value in given if isinstance(given, (list, tuple)) else [given]:
            text = str(value).strip()
            if not all(each == "\t" or " " <= each <= "~" or "\x80" <= each <= "\xff" for each in text):
                raise bad(f"the value of {lower} has a character that a header cannot hold")
            headers.append([lower, text])
    body = answer.get("body")
    if body is None:
        kind, packed, length = None, {"text": ""}, 0
    elif isinstance(body, (bytes, bytearray, memoryview)):
        from base64 import b64encode

        kind, packed, length = "application/octet-stream", {"base64": b64encode(body).decode()}, len(body)
    else:
        if isinstance(body, str):
            kind, encoded = "text/plain; charset=utf-8", body.encode("utf-8", "replace")
        else:
            kind, encoded = "application/json", to_json("pd.respond body", body)
        packed, length = {"text": encoded.decode()}, len(encoded)
    if kind and all(name != "content-type" for name, _ in headers):
        headers.append(["content-type", kind])
    return json.dumps({"status": status, "headers": headers, "body": packed}).encode(), length


def clean(text):
    """A text without halves of surrogate pairs, which are no characters."""
    return text.encode("utf-8", "backslashreplace").decode()
