"""The way out. The sandbox has no network interface; one Unix socket leads to the server, which
decides about each connection and dials it. Python's `socket` and asyncio are made to use it, and so
everything above them does: ssl, http.client, urllib, and the libraries built on these.

A connection by host and port first asks on a connection of its own: `dial PORT HOST`. The server
answers `ok TOKEN ADDRESS` once it holds the connection, or `no CODE MESSAGE`. The socket then
connects to the Unix socket and begins with `use TOKEN`: from there on it carries the code's bytes.

Names are looked up by the server. What asks for the addresses of a name gets the name in their
place, and connects to that.
"""

import errno
import os

WAY = "/run/egress.sock"
LONGEST_ANSWER = 4096
SERVICES = {"http": 80, "https": 443, "ftp": 21, "smtp": 25, "submission": 587, "imaps": 993}
ERRORS = {
    "ECONNREFUSED": errno.ECONNREFUSED,
    "ETIMEDOUT": errno.ETIMEDOUT,
    "EGRESS_REFUSED": errno.EACCES,
}

#: By descriptor: the sockets that stand for a connection over the network.
ways = {}


class Way:
    """What a socket of the network is, beside the Unix socket that it really is."""

    def __init__(self, family):
        self.family = family
        self.peer = None


def patch_socket(module):
    """Puts a class in `socket`'s place whose connections take the way out."""
    plain = module.socket
    network = (module.AF_INET, module.AF_INET6)
    plain_family = plain.family.fget

    class socket(plain):
        def __init__(self, family=-1, type=-1, proto=-1, fileno=None):
            if fileno is not None:
                # Handed on from another object, as ssl does; or the number of one that is gone.
                if fileno in ways and family in (-1, *network):
                    family, type, proto = module.AF_UNIX, module.SOCK_STREAM, 0
                else:
                    ways.pop(fileno, None)
                plain.__init__(self, family, type, proto, fileno)
                return
            family = module.AF_INET if family == -1 else family
            type = module.SOCK_STREAM if type == -1 else type
            if family not in network or type & 0xF != module.SOCK_STREAM:
                plain.__init__(self, family, type, proto)
                ways.pop(self.fileno(), None)
                return
            plain.__init__(self, module.AF_UNIX, type, 0)
            ways[self.fileno()] = Way(family)

        @property
        def family(self):
            way = ways.get(self.fileno())
            return module.AddressFamily(way.family) if way else plain_family(self)

        def connect(self, address):
            way = ways.get(self.fileno())
            if way is None:
                return plain.connect(self, address)
            host, port = module._way_where(address)
            if way.peer:
                raise OSError(errno.EISCONN, os.strerror(errno.EISCONN))
            # A socket that does not block gets its connection here and now, too: there is nothing
            # to wait for that a selector could watch. asyncio has a way of its own below.
            token, peer = ask(module, plain, host, port, self.gettimeout())
            take(plain, self, token)
            way.peer = peer

        def connect_ex(self, address):
            if self.fileno() not in ways:
                return plain.connect_ex(self, address)
            try:
                self.connect(address)
            except module.gaierror:
                raise
            except OSError as error:
                return error.errno or errno.EAGAIN
            return 0

        def bind(self, address):
            if self.fileno() in ways:
                raise PermissionError(errno.EPERM, "a sandbox accepts no connections")
            plain.bind(self, address)

        def getpeername(self):
            way = ways.get(self.fileno())
            if way is None:
                return plain.getpeername(self)
            if way.peer is None:
                raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
            return way.peer

        def getsockname(self):
            way = ways.get(self.fileno())
            if way is None:
                return plain.getsockname(self)
            return ("0.0.0.0", 0) if way.family == module.AF_INET else ("::", 0, 0, 0)

        def setsockopt(self, level, *rest):
            # Options of TCP and IP have nothing to act on.
            if level == module.SOL_SOCKET or self.fileno() not in ways:
                plain.setsockopt(self, level, *rest)

        def getsockopt(self, level, option, *rest):
            if level == module.SOL_SOCKET or self.fileno() not in ways:
                return plain.getsockopt(self, level, option, *rest)
            return bytes(rest[0]) if rest else 0

        def _real_close(self, *rest):
            ways.pop(self.fileno(), None)
            plain._real_close(self, *rest)

    def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
        name = text_of(module, host or "localhost")
        if type not in (0, module.SOCK_STREAM):
            raise module.gaierror(module.EAI_SOCKTYPE, "a sandbox has only connections by TCP")
        found = literal(module, name) or family or module.AF_INET
        if family not in (0, found):
            raise module.gaierror(module.EAI_NONAME, f"{name} is not an address of that family")
        address = (name, number_of(module, port))
        if found == module.AF_INET6:
            address += (0, 0)
        canonical = name if flags & module.AI_CANONNAME else ""
        kind = (module.AddressFamily(found), module.SOCK_STREAM, module.IPPROTO_TCP)
        return [(*kind, canonical, address)]

    def gethostbyname(host):
        if literal(module, host):
            return host
        message = f"a sandbox looks up no names: connect to {host} by name"
        raise module.gaierror(module.EAI_NONAME, message)

    def where(address):
        if not isinstance(address, tuple) or len(address) < 2:
            raise TypeError(f"connect(): an address is (host, port), not {address!r}")
        return text_of(module, address[0] or "localhost"), number_of(module, address[1])

    socket.__module__, socket.__qualname__ = plain.__module__, plain.__qualname__
    module._way_where = where
    module._way_plain = plain
    module.socket = module.SocketType = socket
    module.getaddrinfo = getaddrinfo
    module.gethostbyname = gethostbyname
    module.gethostbyname_ex = lambda host: (host, [], [gethostbyname(host)])
    module.gethostbyaddr = module.gethostbyname_ex


def patch_asyncio(module):
    """Lets event loops wait for a connection without standing still."""
    import socket

    loop = module.BaseSelectorEventLoop
    original = loop.sock_connect

    async def sock_connect(self, sock, address):
        way = ways.get(sock.fileno())
        if way is None:
            return await original(self, sock, address)
        host, port = socket._way_where(address)
        with socket._way_plain(socket.AF_UNIX) as asking:
            asking.connect(WAY)
            asking.setblocking(False)
            await self.sock_sendall(asking, question(host, port))
            answer = b""
            while not answer.endswith(b"\n"):
                answer += await self.sock_recv(asking, LONGEST_ANSWER) or closed(host, port)
        token, peer = verdict(socket, answer, host, port)
        take(socket._way_plain, sock, token)
        way.peer = peer

    async def getaddrinfo(self, host, port, *, family=0, type=0, proto=0, flags=0):
        return socket.getaddrinfo(host, port, family, type, proto, flags)

    loop.sock_connect = sock_connect
    loop.getaddrinfo = getaddrinfo


def ask(module, plain, host, port, timeout):
    """Asks the server for a connection, and waits for it."""
    with plain(module.AF_UNIX) as asking:
        asking.settimeout(timeout or None)
        asking.connect(WAY)
        asking.sendall(question(host, port))
        answer = b""
        while not answer.endswith(b"\n"):
            answer += asking.recv(LONGEST_ANSWER) or closed(host, port)
    return verdict(module, answer, host, port)


def take(plain, sock, token):
    """Makes a socket the connection that the server holds."""
    timeout = plain.gettimeout(sock)
    plain.settimeout(sock, None)  # neither of the two waits for anybody but the server
    try:
        plain.connect(sock, WAY)
        plain.sendall(sock, b"use %s\n" % token)
    finally:
        plain.settimeout(sock, timeout)


def question(host, port):
    return b"dial %d %s\n" % (port, host.encode())


def verdict(module, answer, host, port):
    """The token of a connection and its other end; raises what the server says instead."""
    word, _, rest = answer.rstrip(b"\n").partition(b" ")
    if word == b"ok":
        token, _, address = rest.partition(b" ")
        address = address.decode()
        ends = (0, 0) if ":" in address else ()
        return token, (address, port, *ends)
    code, _, message = rest.decode("utf-8", "replace").partition(" ")
    if code == "ENOTFOUND":
        raise module.gaierror(module.EAI_NONAME, message)
    raise OSError(ERRORS.get(code, errno.ECONNRESET), message)


def closed(host, port):
    message = f"the way out of the sandbox to {host}:{port} is closed"
    raise ConnectionResetError(errno.ECONNRESET, message)


def text_of(module, host):
    """A host as the server reads it."""
    name = host.decode() if isinstance(host, (bytes, bytearray)) else host
    if not isinstance(name, str):
        raise TypeError(f"a host is a text, not {type(host).__name__}")
    if not name.isascii():
        name = name.encode("idna").decode()
    if not name or any(letter <= " " or letter == "\x7f" for letter in name):
        raise module.gaierror(module.EAI_NONAME, f"{name!r} is not a host")
    return name


def number_of(module, port):
    if port is None:
        return 0
    if isinstance(port, (bytes, str)):
        name = port.decode() if isinstance(port, bytes) else port
        if name not in SERVICES and not name.isdecimal():
            raise module.gaierror(module.EAI_SERVICE, f"{name!r} is not a port")
        port = SERVICES.get(name) or int(name)
    if not 0 <= port <= 65535:
        raise OverflowError("port must be 0-65535.")
    return port


def literal(module, name):
    """The family of an address; None for a name."""
    for family in (module.AF_INET, module.AF_INET6):
        try:
            module.inet_pton(family, name)
        except OSError:
            continue
        return family
    return None
