"""A mail server for tests (aiosmtpd): prints its port, then each mail as a line of JSON.

server.py [--cert FILE --key FILE [--implicit]] [--user NAME --password TEXT] [--refuse N]
It stops when its standard input is closed.
"""

import argparse
import asyncio
import json
import ssl
import sys

from aiosmtpd.controller import UnthreadedController
from aiosmtpd.smtp import AuthResult, LoginPassword

parser = argparse.ArgumentParser()
parser.add_argument("--cert")
parser.add_argument("--key")
parser.add_argument("--implicit", action="store_true")
parser.add_argument("--user")
parser.add_argument("--password")
parser.add_argument("--refuse", type=int, default=0)
options = parser.parse_args()
refusals = options.refuse


def say(what):
    print(json.dumps(what), flush=True)


class Handler:
    async def handle_DATA(self, server, session, envelope):
        global refusals
        if refusals > 0:
            refusals -= 1
            say({"refused": True})
            return "451 4.3.0 try again later"
        say(
            {
                "from": envelope.mail_from,
                "to": envelope.rcpt_tos,
                "data": envelope.content.decode("ascii"),
                "tls": options.implicit or session.ssl is not None,
                "authenticated": session.authenticated,
            }
        )
        return "250 OK"


def authenticate(server, session, envelope, mechanism, given):
    expected = LoginPassword(options.user.encode(), options.password.encode())
    return AuthResult(success=given == expected)


context = None
if options.cert:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.cert, options.key)
arguments = {"hostname": "127.0.0.1", "port": 0}
if options.user:
    arguments |= {"authenticator": authenticate, "auth_required": True}
if options.implicit:
    arguments |= {"ssl_context": context, "auth_require_tls": False}
elif context:
    arguments |= {"tls_context": context, "require_starttls": True}

loop = asyncio.new_event_loop()
controller = UnthreadedController(Handler(), loop=loop, **arguments)
controller.begin()
say({"port": controller.server.sockets[0].getsockname()[1]})
loop.run_until_complete(loop.run_in_executor(None, sys.stdin.read))
controller.end()
