"""A PostgreSQL cluster for a benchmark: durable, as in production, on a Unix socket of its own."""

import os
import shutil
from pathlib import Path

from .paths import WORK
from .processes import BenchError, Server, run, wait_until


class Postgres(Server):
    """A running cluster in a folder of its own."""

    def __init__(self, folder):
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        if not found:
            raise BenchError("PostgreSQL is missing: install the Debian package `postgresql`")
        self.programs = found[-1].parent
        self.folder = Path(folder)
        self.folder.mkdir()
        if os.geteuid() == 0:
            # It refuses to run as root, and has to come through the run's folders to its own.
            shutil.chown(self.folder, "postgres", "postgres")
            for parent in self.folder.relative_to(WORK).parents[:-1]:
                (WORK / parent).chmod(0o711)
        run(self._as_postgres("initdb", "-D", self.folder / "data", "-U", "postgres", "-A", "trust",
                              "-E", "UTF8", "--locale=C.UTF-8"), cwd="/")
        command = self._as_postgres(
            "postgres", "-D", self.folder / "data", "-k", self.folder,
            "-c", "listen_addresses=", "-c", "max_connections=200", "-c", "shared_buffers=256MB")
        log = self.folder.parent / "postgres.log"
        super().__init__("PostgreSQL", command, log)
        ready = [self.programs / "pg_isready", "-h", self.folder]

        def is_ready():
            try:
                return run(ready)
            except BenchError:
                return None
        wait_until("PostgreSQL answers", is_ready, 60, pause=0.1)

    def _as_postgres(self, program, *words):
        command = [self.programs / program, *words]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups",
                       "--pdeathsig=KILL", "--", *command]
        return command

    @property
    def url(self):
        return f"postgres://postgres@{str(self.folder).replace('/', '%2F')}/postgres"
