"""The program that starts inside the sandbox: `python -I -B main.py STAGE`.

Theory of operation. Three processes, one inside the other, all of this file:

    grader ──socket──► supervisor ──fork──► worker        cold: one interpreter per stage
    grader ──socket──► zygote ──fork──► supervisor ──fork──► worker        warm: --warm

The *worker* reads the request, confines itself, imports the stage module, says "ready", puts the
student's tree on the path and runs the stage. From then on it is hostile. The *supervisor* is
never: it holds the private folder, watches memory, disk and the number of processes, takes in
every orphan (subreaper), and when the worker ends, a limit is reached or the grader goes away
(its end of the socket closes, whatever the reason), it kills all that is left, removes the folder
and reports the exit. The *zygote* has imported the stage's libraries once and only ever forks; it
runs no student code and never a TensorFlow operation (a fork after one hangs).

Without --control (in a container, where the engine supervises) the worker runs alone.

Descriptors of the worker: 0 /dev/null, 1 and 2 the log, one high number the channel, no other.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pathlib
import sys
import types
from collections.abc import Mapping
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent


def load(name: str, folder: pathlib.Path = HERE) -> types.ModuleType:
    """Import a module of this folder by path: with -I the folder itself is not on the path."""
    spec = importlib.util.spec_from_file_location(f"_inside_{name}", folder / f"{name}.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"{name}: no such stage")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


frames = load("frames")


def arrange_descriptors(request_fd: int, output_fd: int, log_fd: int) -> int:
    """Give the student's code a null input and the log, and hide the channel.

    Returns:
        The descriptor of the channel.
    """
    import fcntl

    channel = fcntl.fcntl(output_fd, fcntl.F_DUPFD_CLOEXEC, 100)
    log = fcntl.fcntl(log_fd, fcntl.F_DUPFD_CLOEXEC, 100)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.closerange(3, channel)
    os.closerange(channel + 1, 4096)
    return channel


class TreeFinder:
    """Path hook for the student's tree: plain `.py` sources only.

    A stale or forged `.pyc`, a native module and a cache folder in the tree are not looked at.
    """

    def __init__(self, tree: pathlib.Path) -> None:
        self._tree = str(tree)

    def __call__(self, path: str) -> Any:
        """Return a finder for a folder of the tree, refuse every other."""
        from importlib.machinery import FileFinder, SourceFileLoader

        if path != self._tree and not path.startswith(self._tree + os.sep):
            raise ImportError
        return FileFinder(path, (_uncached(SourceFileLoader), [".py"]))


def _uncached(base: type[Any]) -> type[Any]:
    def get_code(self: Any, fullname: str) -> Any:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)

    return type("UncachedLoader", (base,), {"get_code": get_code})


def add_tree_to_path(tree: pathlib.Path) -> None:
    """Make the student's modules importable: after the standard library, before site-packages.

    So a student's `random.py` shadows nothing, and a `utils.py` of theirs wins over a package of
    that name that happens to be installed here, as it did on their machine.
    """
    sys.path_hooks.insert(0, TreeFinder(tree))
    first_site = next(
        (i for i, p in enumerate(sys.path) if "site-packages" in p or "dist-packages" in p),
        len(sys.path),
    )
    sys.path.insert(first_site, str(tree))


def work(
    stage: str, folder: pathlib.Path, module: types.ModuleType | None, fds: tuple[int, int, int]
) -> None:
    """Be the worker: from the request to the end frame. Never returns."""
    status = 1
    try:
        request_fd, output_fd, log_fd = fds
        envelope = frames.read_request(request_fd)
        channel = frames.Channel(arrange_descriptors(request_fd, output_fd, log_fd))
        try:
            tree = _enter(envelope)
            module = module or load(stage, folder)
            channel.send_json(frames.READY, {"pid": os.getpid()})
            add_tree_to_path(tree)
            module.run(dict(envelope["request"]), tree, channel)
            channel.send_json(frames.END, {})
            status = 0
        except BaseException as error:
            report = {"type": type(error).__name__, "message": str(error)[:2000]}
            channel.send_json(frames.CRASH, report)
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _enter(envelope: Mapping[str, Any]) -> pathlib.Path:
    tree = pathlib.Path(envelope["tree"])
    os.chdir(tree)
    return tree


def main(argv: list[str]) -> None:
    """Start as told on the command line."""
    import argparse

    parser = argparse.ArgumentParser(prog="main.py")
    parser.add_argument("stage")
    parser.add_argument("--stages", type=pathlib.Path, default=HERE)
    options = parser.parse_args(argv)
    work(options.stage, options.stages, None, (0, 1, 2))


if __name__ == "__main__":
    main(sys.argv[1:])
