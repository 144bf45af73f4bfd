"""Receives webhooks and checks each with the official library: prints its port, then each request as
a line of JSON. A line on standard input is the secret to check with from then on, and is answered by
a line. It stops when standard input is closed.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks.webhooks import Webhook

secret = ""


def say(what):
    print(json.dumps(what), flush=True)


def check(body, headers):
    try:
        Webhook(secret).verify(body, headers)
        return {"library": "standardwebhooks", "verified": True}
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        return {"library": "standardwebhooks", "verified": False, "error": said}


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        checked = check(body, headers)
        say({"headers": headers, "body": body, "checks": [checked]})
        self.send_response(204 if checked["verified"] else 400)
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
say({"port": server.server_address[1]})
for line in sys.stdin:
    secret = line.strip()
    say({"secret": "set"})
