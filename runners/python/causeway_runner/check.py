"""Reads a step's code as far as Python does before it runs it, and the program's own files that it
imports: each is parsed, and what a module imports at its top has to exist. None of it runs."""

import ast
import os
import sys
from importlib.machinery import PathFinder

from .hooks import PACKAGES, ROOT

#: What has been read and is as it should be.
_read = set()


def read(entry):
    """Raises what Python would raise on the way to the step's function."""
    open_files = [ROOT + entry]
    while open_files:
        path = open_files.pop()
        if path in _read:
            continue
        tree = parse(path)
        for node in imports(tree.body):
            open_files += own_files(node, path)
        _read.add(path)


def parse(path):
    with open(path, "rb") as file:
        source = file.read()
    # Beyond the form: `return` outside of a function and the like are found by the compiler.
    compile(source, path, "exec", dont_inherit=True)
    return ast.parse(source, path)


def imports(body):
    """The imports that run when a module does, but for those that expect to fail."""
    for node in body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        elif isinstance(node, ast.With):
            yield from imports(node.body)


def own_files(node, path):
    """The program's own files that an import names; raises if it names nothing."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield from own_file(alias.name, None, node, path)
        return
    base = path
    for _ in range(node.level):
        base = os.path.dirname(base)
    inside = [base]
    if node.module:
        inside = yield from own_file(node.module, base if node.level else None, node, path)
    for alias in node.names if inside else ():
        found = PathFinder.find_spec(alias.name, inside)
        if found is not None:  # else a name in the module itself
            yield from sources(found)


def own_file(name, base, node, path):
    """The same for one module; its result says where modules inside it would be."""
    head, *rest = name.split(".")
    if base is None and (head in sys.stdlib_module_names or head in sys.modules):
        return None
    found = PathFinder.find_spec(head, [base] if base else None)
    if found is None:
        raise missing(name, node, path)
    yield from sources(found)
    for part in rest:
        found = PathFinder.find_spec(part, found.submodule_search_locations or [])
        if found is None:
            raise missing(name, node, path)
        yield from sources(found)
    return found.submodule_search_locations


def sources(spec):
    origin = spec.origin or ""
    if origin.startswith(ROOT) and origin.endswith(".py") and not origin.startswith(PACKAGES + "/"):
        yield origin


def missing(name, node, path):
    error = ModuleNotFoundError(f"No module named {name!r}", name=name)
    error.place = f"{path.removeprefix(ROOT)}:{node.lineno}:{node.col_offset + 1}"
    return error
