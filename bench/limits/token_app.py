"""An app with strict refresh tokens, for the refresh storm: it outlives every kill of Causeway, and
knows what became of each grant.

    token_app.py EXPIRY

prints its port. Code number N gives grant N, whose first access token ends at EXPIRY (Unix seconds),
the others a day later. A refresh token is good once (RFC 9700, section 4.14.2): used again, it ends
its grant and is counted.

    POST /token       authorization_code and refresh_token
    POST /introspect  RFC 7662, for refresh tokens
    GET  /me, /call   the API: 200 with the grant's number for its newest access token, else 401
    GET  /_counts     what happened so far
    GET  /_grants     of each grant: how often it was exchanged, and whether it was ended
"""

import asyncio
import json
import sys
import time
from urllib.parse import parse_qs

DAY = 24 * 3600


class App:
    def __init__(self, expiry):
        self.expiry = expiry
        # By number: how often it was exchanged, and whether it was ended.
        self.grants = {}
        self.counts = {"granted": 0, "exchanges": 0, "reuses": 0, "unknown": 0, "introspections": 0,
                       "calls": 0, "refused_calls": 0, "first": None, "last": None}

    def answer(self, line, head, body):
        method, target = line.split(b" ")[:2]
        path = target.split(b"?")[0]
        if path in (b"/me", b"/call"):
            return self.call(head)
        if method == b"POST":
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            if path == b"/token":
                return self.token(form)
            if path == b"/introspect":
                self.counts["introspections"] += 1
                number, exchanged = self.read(form.get("token", ""))
                return 200, {"active": self.grants.get(number) == [exchanged, False]}
        if path == b"/_counts":
            return 200, self.counts
        if path == b"/_grants":
            return 200, self.grants
        return 404, {}

    def token(self, form):
        if form.get("grant_type") == "authorization_code":
            number = int(form["code"])
            self.grants[number] = [0, False]
            self.counts["granted"] += 1
            return 200, self.tokens(number, max(1, int(self.expiry - time.time())))
        number, exchanged = self.read(form.get("refresh_token", ""))
        grant = self.grants.get(number)
        if grant is None:
            self.counts["unknown"] += 1
        elif grant[0] != exchanged:
            self.counts["reuses"] += 1
            grant[1] = True
        if grant is None or grant[1]:
            return 400, {"error": "invalid_grant"}
        grant[0] += 1
        self.counts["exchanges"] += 1
        now = time.time()
        self.counts["first"] = self.counts["first"] or now
        self.counts["last"] = now
        return 200, self.tokens(number, DAY)

    def tokens(self, number, life):
        name = f"{number}-{self.grants[number][0]}"
        return {"access_token": f"a-{name}", "refresh_token": f"r-{name}", "expires_in": life}

    def call(self, head):
        at = head.lower().find(b"\r\nauthorization: bearer ")
        token = head[at + 24:].split(b"\r\n", 1)[0].decode() if at >= 0 else ""
        number, exchanged = self.read(token)
        self.counts["calls"] += 1
        if self.grants.get(number) == [exchanged, False]:
            return 200, {"id": number}
        self.counts["refused_calls"] += 1
        return 401, {}

    @staticmethod
    def read(token):
        """The grant of a token, and the exchange that it came from."""
        try:
            _, number, exchanged = token.split("-")
            return int(number), int(exchanged)
        except ValueError:
            return None, None


class Connection(asyncio.Protocol):
    def __init__(self, app):
        self.app = app
        self.bytes = b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.bytes += data
        while (end := self.bytes.find(b"\r\n\r\n")) >= 0:
            head, rest = self.bytes[:end + 2], self.bytes[end + 4:]
            at = head.lower().find(b"\r\ncontent-length:")
            length = int(head[at + 17:].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(rest) < length:
                return
            self.bytes = rest[length:]
            status, answer = self.app.answer(head.split(b"\r\n", 1)[0], head, rest[:length])
            body = json.dumps(answer).encode()
            self.transport.write(
                b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
                % (status, len(body), body))


async def main():
    app = App(float(sys.argv[1]))
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(app), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
