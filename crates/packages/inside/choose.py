"""Has pip choose the files of packages for what a workflow asks for, and gives their names, versions,
addresses and digests. Nothing is installed; only wheels are taken, so nothing of a package runs."""

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout

#: What is kept of what pip prints.
SAID = 8000


def handler(pd):
    event = pd.event
    sys.path.insert(0, event["pip"])
    with open("/tmp/requirements.txt", "w") as file:
        file.write(event["requirements"])
    words = ["install", "--isolated", "--dry-run", "--ignore-installed", "--only-binary", ":all:"]
    words += ["--no-cache-dir", "--no-input", "--disable-pip-version-check", "--retries", "1"]
    words += ["--progress-bar", "off", "--quiet", "--cert", "/code/roots.pem"]
    words += ["--index-url", event["index"], "--requirement", "/tmp/requirements.txt"]
    words += ["--report", "/tmp/report.json"]
    if event["index"].startswith("http://"):
        words += ["--trusted-host", event["index"].split("/")[2]]
    if event["hashes"]:
        words.append("--require-hashes")
    if event["before"] and knows("uploaded_prior_to"):
        words += ["--uploaded-prior-to", event["before"]]
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        from pip._internal.cli.main import main

        code = main(words)
    packages = []
    if code == 0:
        with open("/tmp/report.json") as file:
            packages = [brief(one) for one in json.load(file)["install"]]
    return {"code": code, "said": said.getvalue()[-SAID:], "packages": packages}


def knows(option):
    """Whether this pip has an option."""
    from pip._internal.cli import cmdoptions

    return hasattr(cmdoptions, option)


def brief(one):
    source = one["download_info"]
    archive = source.get("archive_info", {})
    digest = archive.get("hashes", {}).get("sha256")
    if digest is None:
        digest = archive.get("hash", "").removeprefix("sha256=")
    meta = one["metadata"]
    return {"name": meta["name"], "version": meta["version"], "url": source["url"], "sha256": digest}
