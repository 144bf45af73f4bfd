"""An app that takes a key: nginx, and its row in the catalogue."""

import os

from .paths import BENCH
from .processes import Server

ROW = """\
slug: {slug}
name: Bench
description: The app of a benchmark.
docs: https://github.com/causeway/causeway/tree/main/bench
categories: [developer-tools]
hosts: [{hosts}]
auth:
  api_key:
    docs: https://github.com/causeway/causeway/tree/main/bench
    fields: [{{ name: api_key, label: API key }}]
    send: {{ headers: {{ X-Api-Key: "{{api_key}}" }} }}
verify: {{ url: "{origin}/small" }}
api: {{ base_url: "{origin}" }}
"""


def write_row(folder, slug, origin, ports):
    """Writes the row of an app at these ports into a folder of rows, which it returns."""
    hosts = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
    (folder / "apps" / slug).mkdir(parents=True)
    row = ROW.format(slug=slug, origin=origin, hosts=hosts)
    (folder / "apps" / slug / "app.yaml").write_text(row)
    return folder / "apps"


def start_nginx(folder, template, cleanup, **ports):
    """Starts nginx with a configuration of `limits/`, whose @…@ are filled; it may not listen yet."""
    conf = (BENCH / "limits" / template).read_text()
    # Its workers read files below this folder, which is nobody else's.
    user = "user root;" if os.geteuid() == 0 else ""
    for name, text in {"folder": folder, "user": user, **ports}.items():
        conf = conf.replace(f"@{name}@", str(text))
    (folder / "nginx.conf").write_text(conf)
    command = ["nginx", "-c", folder / "nginx.conf", "-p", folder]
    return cleanup.enter_context(Server("nginx", command, folder / "nginx.log"))
