#!/usr/bin/env python3
"""The limit of durable acknowledgements: grouped commits of the same rows, and nothing else.

Takes a database in which Causeway has stored at least one event. Makes an empty database beside it
with the same two tables and indexes, and inserts copies of that event and its invocation under new
ids: in groups, one commit each, WAL, synchronous=FULL, one writer. Prints figures as JSON.
"""

import argparse
import json
import sqlite3
import time
from pathlib import Path

TABLES = ("event", "invocation")


def schema(source):
    """The statements that made the tables, and then their indexes."""
    return [
        row[0]
        for kind in ("table", "index")
        for row in source.execute(
            "SELECT sql FROM sqlite_master WHERE type = ? AND tbl_name IN (?, ?) AND sql IS NOT NULL",
            (kind, *TABLES),
        )
    ]


def columns(source, table):
    return [row[1] for row in source.execute(f"PRAGMA table_info({table})")]


def template(source, table, condition, values):
    """One row as a dictionary."""
    names = columns(source, table)
    row = source.execute(f"SELECT * FROM {table} WHERE {condition}", values).fetchone()
    return dict(zip(names, row, strict=True))


def insert(table, names):
    marks = ", ".join("?" for _ in names)
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"


def as_new(event, invocation):
    """The invocation as it is when its event is accepted."""
    fresh = dict(event, dedupe_key=None)
    queued = dict(
        invocation, state="queued", next_step=0, error_code=None, tier=None, response=None,
        started_at_us=None, finished_at_us=None,
    )
    return fresh, queued


def renumber(text, number):
    """An id of the same length and prefix; ids ascend as Causeway's do."""
    prefix, _, body = text.partition("_")
    return f"{prefix}_{number:0{len(body)}x}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path, help="must not exist")
    parser.add_argument("--group", type=int, default=16, help="events a commit")
    parser.add_argument("--seconds", type=float, default=5)
    options = parser.parse_args()

    source = sqlite3.connect(f"file:{options.source}?mode=ro", uri=True)
    invocation = template(source, "invocation", "event_id IN (SELECT id FROM event)", ())
    event = template(source, "event", "id = ?", (invocation["event_id"],))
    event, invocation = as_new(event, invocation)

    # Rows of other tables are not copied, so references to them are not checked: a little less
    # work than Causeway's, which makes the limit no easier.
    target = sqlite3.connect(options.target, isolation_level=None)
    target.execute("PRAGMA journal_mode = WAL")
    target.execute("PRAGMA synchronous = FULL")
    for statement in schema(source):
        target.execute(statement)
    source.close()

    insert_event = insert("event", event)
    insert_invocation = insert("invocation", invocation)
    events, waits, number = 0, [], 1
    start = time.perf_counter()
    end = start + options.seconds
    while (begin := time.perf_counter()) < end:
        target.execute("BEGIN IMMEDIATE")
        for number in range(number, number + options.group):
            event["id"] = invocation["event_id"] = renumber(event["id"], number)
            invocation["id"] = renumber(invocation["id"], number)
            target.execute(insert_event, tuple(event.values()))
            target.execute(insert_invocation, tuple(invocation.values()))
        target.execute("COMMIT")
        number += 1
        events += options.group
        waits.append(time.perf_counter() - begin)
    seconds = time.perf_counter() - start
    target.close()
    waits.sort()
    print(json.dumps({
        "per_second": events / seconds,
        "p50_ms": waits[len(waits) // 2] * 1e3,
        "p99_ms": waits[len(waits) * 99 // 100] * 1e3,
    }))


if __name__ == "__main__":
    main()
