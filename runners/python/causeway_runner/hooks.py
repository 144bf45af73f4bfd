"""How code is found and loaded: the program's own files after the standard library, so that a step
named email.py is in nobody's way, and modules that open connections with the way out in them."""

import importlib.util
import os
import sys
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    FileFinder,
    PathFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)

ROOT = "/code/"
#: Where packages are that a program brings: `pip install --target python_modules …`.
PACKAGES = "/code/python_modules"
#: Where those are that Causeway has put together from a lock.
LAYER = "/python_modules"


class Sources(FileFinder):
    """Finds modules of the program. Nothing there can be mapped to be executed, so that a package
    which has a module in C and in Python is to take the latter, and one in C alone says so."""

    @classmethod
    def of(cls, path):
        if not f"{path}/".startswith(ROOT):
            raise ImportError(path=path)
        sources = (SourceFileLoader, SOURCE_SUFFIXES)
        return cls(path, sources, (SourcelessFileLoader, BYTECODE_SUFFIXES))

    def find_spec(self, fullname, target=None):
        spec = super().find_spec(fullname, target)
        file = os.path.join(self.path, fullname.rpartition(".")[2])
        if spec is None and any(os.path.exists(file + suffix) for suffix in EXTENSION_SUFFIXES):
            message = f"{fullname} is a native module, which a sandbox does not load from the program's files"
            raise ImportError(message, name=fullname)
        return spec


class Watching:
    """Patches a module between its loading and its first use."""

    def find_spec(self, name, path=None, target=None):
        if name not in ("socket", "asyncio.selector_events"):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None:
            load = spec.loader.exec_module
            spec.loader.exec_module = lambda module: (load(module), patch(module))
        return spec


def patch(module):
    from . import egress

    if module.__name__ == "socket":
        egress.patch_socket(module)
    else:
        egress.patch_asyncio(module)


def install():
    sys.meta_path.insert(0, Watching())
    sys.path_hooks.insert(0, Sources.of)
    sys.path += [ROOT.rstrip("/"), PACKAGES, LAYER]


def module_name(entry):
    """The name under which a step's file would be imported: lib/lookup.py is lib.lookup."""
    return entry.removesuffix(".py").replace("/", ".")


def load(entry):
    """Runs a step's file as a module. What is imported relatively is found beside it."""
    name = module_name(entry)
    if name in sys.modules or name.partition(".")[0] in sys.stdlib_module_names:
        name = f"step:{name}"
    spec = importlib.util.spec_from_file_location(name, ROOT + entry)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module
