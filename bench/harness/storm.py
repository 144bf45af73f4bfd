"""The refresh storm: thousands of connections whose tokens have all expired, a hundred callers for each
of them, and a server that is killed twice meanwhile and started again.

The app (`limits/token_app.py`) takes each refresh token once and remembers every grant, so it knows what
went wrong: a token that was sent twice, or exchanged although a good one was there. Afterwards every
connection is used once more. A grant is lost if its connection works no more; it is lost *inside the
protocol's own window* if the app had exchanged the token and Causeway says that it never saw the answer,
which nothing but a second copy of that answer could mend.
"""

import contextlib
import http.client
import json
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

from .causeway import Causeway
from .paths import BENCH
from .postgres import Postgres
from .processes import BenchError, Server, http as fetch, wait_until
from .report import Row

NAME = "storm"
# Whether n8n takes part.
PEER = False
# Connections of Causeway that each thread of wrk asks for at a time.
TOGETHER = 4
THREADS = 2
# Customers who connect at a time before it.
CUSTOMERS = 8
# Shares of the exchanges after which the server is killed.
KILLS = (1 / 3, 2 / 3)
# A dead server's leases end after 35 s, and what backs off comes back within a minute or two.
SETTLE = 240

ROW = """\
slug: bench
name: Bench
description: The app of the refresh storm.
docs: https://github.com/causeway/causeway/tree/main/bench
categories: [developer-tools]
hosts: ["127.0.0.1:{port}"]
auth:
  oauth2:
    docs: https://github.com/causeway/causeway/tree/main/bench
    authorization_url: http://127.0.0.1:{port}/authorize
    token_url: http://127.0.0.1:{port}/token
    client_auth: post
    pkce: forbidden
    scopes: {{ default: [a] }}
    introspection: {{ url: "http://127.0.0.1:{port}/introspect", client_auth: post }}
    refresh: {{ rotates: true }}
verify: {{ url: "http://127.0.0.1:{port}/me" }}
api: {{ base_url: "http://127.0.0.1:{port}" }}
"""


class TokenApp:
    """The app, in a process of its own."""

    def __init__(self, expiry):
        self.process = subprocess.Popen(
            ["python3", BENCH / "limits/token_app.py", str(expiry)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def asked(self, path):
        status, body = fetch(f"http://127.0.0.1:{self.port}{path}")
        if status != 200:
            raise BenchError(f"the app of the storm answers {status}")
        return json.loads(body)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(5)


class Client:
    """One connection to Causeway that is kept, and made anew when it breaks."""

    def __init__(self, port, key):
        self.port, self.key = port, key
        self.connection = None

    def send(self, method, path, body=None, **headers):
        """The status, the headers and the body of an answer; status 0 if there was none."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=90)
        try:
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
            return answer.status, answer.headers, answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return 0, {}, b""

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def api(self, method, path, body=None):
        sent = None if body is None else json.dumps(body)
        return self.send(method, f"/api/v1/{path}", sent,
                         **{"authorization": f"Bearer {self.key}", "content-type": "application/json"})


class Storm:
    """One installation, on one database, before, in and after its storm."""

    def __init__(self, folder, options, database_url, cleanup):
        self.folder, self.options, self.cleanup = folder, options, cleanup
        # All first tokens end together. Causeway renews from three quarters of a life on.
        self.expiry = time.time() + max(45, options.connections * 0.03)
        self.app = cleanup.enter_context(TokenApp(self.expiry))
        (folder / "apps/bench").mkdir(parents=True)
        (folder / "apps/bench/app.yaml").write_text(ROW.format(port=self.app.port))
        self.causeway = Causeway(folder / "causeway", database_url)
        self.key = self.causeway.env["CAUSEWAY_API_KEY"]
        self.local = threading.local()
        self.server = None

    def start(self):
        limits = [word for scope in ("key", "workspace", "address", "client", "refused")
                  for word in (f"--rate-limit-{scope}", "0")]
        self.server = self.cleanup.enter_context(self.causeway.start(
            "--apps-dir", self.folder / "apps", "--net-allow", f"127.0.0.1/32:{self.app.port}",
            "--spare-sandboxes", "0", *limits))
        self.server.await_http(f"{self.causeway.url}/healthz")

    def client(self):
        """The client of this thread."""
        if not hasattr(self.local, "client"):
            self.local.client = Client(self.causeway.port, self.key)
        return self.local.client

    def set_up(self):
        """Connects the accounts, as customers do, and waits until their tokens have expired."""
        self.start()
        client = {"app": "bench", "client_id": "bench", "client_secret": "bench"}
        expect(200, self.client().api("PUT", "oauth-clients", client))
        with ThreadPoolExecutor(CUSTOMERS) as pool:
            list(pool.map(self.connect, range(self.options.connections)))
        self.server.stop()
        counts = self.app.asked("/_counts")
        if counts["exchanges"]:
            raise BenchError(
                "the accounts were not connected before their tokens were due: this machine needs "
                "fewer --connections")
        time.sleep(max(0, self.expiry - time.time()) + 1)

    def connect(self, number):
        client = self.client()
        session = {"customer": f"customer-{number}", "app": "bench", "name": f"storm-{number}"}
        made = expect(201, client.api("POST", "connect-sessions", session))
        link = urlsplit(json.loads(made[2])["connect_url"]).path
        status, headers, body = client.send(
            "POST", f"{link}/authorize", "scheme=oauth2", origin=self.causeway.url,
            **{"content-type": "application/x-www-form-urlencoded"})
        if status != 303:
            raise BenchError(f"the way to the app answers {status}: {body[:300]!r}")
        state = parse_qs(urlsplit(headers["location"]).query)["state"][0]
        cookie = headers["set-cookie"].split(";")[0]
        expect(200, client.send("GET", f"/connect/callback?code={number}&state={state}", cookie=cookie))

    def rage(self):
        """The storm itself. Returns what the callers got, and when the first kill was."""
        options = self.options
        callers = options.callers // THREADS
        slots = TOGETHER * callers
        command = [
            "wrk", "--threads", THREADS, "--connections", THREADS * slots, "--duration", "7200s",
            "--timeout", "90s", "--script", BENCH / "load/storm.lua", self.causeway.url, "--",
            options.connections, callers, slots, self.folder, f"authorization: Bearer {self.key}"]
        log = self.folder / "wrk.log"
        self.start()
        wrk = self.cleanup.enter_context(Server("wrk", command, log))
        first_kill = None
        for share in KILLS:
            least = int(options.connections * share)
            self.until("the storm goes on", lambda: self.exchanges() >= least)
            first_kill = first_kill or (time.time(), self.exchanges())
            self.server.process.send_signal(signal.SIGKILL)
            self.server.stop()
            self.start()
        self.until("the callers are through", lambda: all(
            (self.folder / f"through-{number}").exists() for number in range(THREADS)))
        wrk.process.send_signal(signal.SIGINT)
        wrk.process.wait(120)
        lines = log.read_text().splitlines()
        figures = next((line for line in lines if line.startswith("FIGURES ")), None)
        if figures is None:
            raise BenchError(f"wrk said no figures: {lines[-3:]}")
        return json.loads(figures.removeprefix("FIGURES ")), first_kill

    def until(self, what, done):
        # A connection takes a fraction of a second, and each kill up to a minute of waiting.
        wait_until(what, done, 300 + self.options.connections * 0.3, pause=0.02)

    def exchanges(self):
        return self.app.asked("/_counts")["exchanges"]

    def use(self, number):
        """Uses a connection until it works or has ended; says how it is: None if it works."""
        deadline = time.monotonic() + SETTLE
        while True:
            status, _, body = self.client().api("GET", f"proxy/storm-{number}/me")
            if status == 200:
                got = json.loads(body)["id"]
                return None if got == number else f"it has the token of {got}"
            text = body.decode(errors="replace")
            if "needs_reauth" in text or time.monotonic() > deadline:
                return text or "no answer"
            time.sleep(0.5)

    def outcome(self):
        """Uses every connection once more, and sorts what the app and Causeway say of it."""
        with ThreadPoolExecutor(CUSTOMERS) as pool:
            states = list(pool.map(self.use, range(self.options.connections)))
        grants = {int(number): grant for number, grant in self.app.asked("/_grants").items()}
        counts = self.app.asked("/_counts")
        again = sum(max(0, exchanged - 1) for exchanged, _ in grants.values())
        inside, outside = [], []
        for number, state in enumerate(states):
            exchanged, has_ended = grants[number]
            if state is None:
                continue
            is_window = "refresh_answer_lost" in state and exchanged == 1 and not has_ended
            (inside if is_window else outside).append((number, state))
        for number, state in outside[:5]:
            print(f"lost: storm-{number}, exchanged {grants[number][0]} times: {state[:400]}", flush=True)
        return counts["reuses"] + counts["unknown"] + again, len(inside), len(outside)


def expect(status, answer):
    if answer[0] != status:
        raise BenchError(f"preparing the storm answers {answer[0]}: {answer[2][:300]!r}")
    return answer


def rows(bench, where, folder, database_url, cleanup):
    storm = Storm(folder, bench.storm, database_url, cleanup)
    bench.say(f"{where}: connecting {bench.storm.connections:,} accounts")
    storm.set_up()
    bench.say(f"{where}: {bench.storm.callers} callers for each of them")
    begun = time.time()
    figures, (killed, exchanged) = storm.rage()
    took = time.time() - begun
    counts = storm.app.asked("/_counts")
    bench.say(f"{where}: using every connection once more")
    doubles, inside, outside = storm.outcome()
    rate = exchanged / max(0.001, killed - counts["first"])
    name = f"refresh storm on {where}"
    return [
        Row(f"{name}: exchanges until the first kill", "/s", [rate]),
        Row("… all of it, two kills and two starts included", "s", [took]),
        Row("… calls answered by the app", "", [figures["answered"]]),
        Row("… calls refused while a token could not be had", "", [figures["refused"]]),
        Row("… double exchanges", "", [doubles], target="0", met=[doubles == 0]),
        Row("… grants lost outside the protocol's own window", "", [outside], target="0",
            met=[outside == 0]),
        Row(f"… grants lost inside it, of {bench.storm.connections:,}", "", [inside]),
    ]


def measure(bench):
    """Once for each database, whatever the number of rounds."""
    bench.note_load()
    folder = bench.folder / "storm"
    folder.mkdir()
    found = []
    with contextlib.ExitStack() as cleanup:
        found += rows(bench, "SQLite", folder / "sqlite", None, cleanup)
    with contextlib.ExitStack() as cleanup:
        postgres = cleanup.enter_context(Postgres(folder / "cluster"))
        found += rows(bench, "PostgreSQL", folder / "postgres", postgres.url, cleanup)
    return found
