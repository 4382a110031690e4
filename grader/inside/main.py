"""The program that starts inside the sandbox: `python -I -B main.py STAGE`.

Theory of operation. Three processes, one inside the other, all of this folder:

    grader ══ socket ══► supervisor ─ fork ─► worker                       cold
    grader ══ socket ══► zygote ─ fork ─► supervisor ─ fork ─► worker      warm: --warm

The *worker* confines itself, imports the stage module, says "ready", puts the student's tree on
the path and runs the stage. From then on it is hostile. The *supervisor* never is: it holds the
private folder, watches memory, disk and processes, takes in every orphan (subreaper), and when
the worker ends, a limit is reached or the grader goes away (its end of the socket closes,
whatever the reason), it kills all that is left, removes the folder and reports how the worker
ended. The *zygote* has imported the stage's libraries once and only ever forks; it runs no student
code and never a TensorFlow operation (a fork after one hangs). Each stands in the file of its name.

A student's own code on the student's own machine (--plain) needs none of this, and a system that
has no fork could not give it: there, one process does it all, as `plain.py` says.

In a container (--container) there is no socket: order and request come on standard input, and the
supervisor passes output, log and report on in labelled pieces over standard output. It is the
container's first process, which nothing inside can signal; with --warm that is the zygote.

What crosses: the request on the worker's standard input, frames on its standard output, its log
on its standard error; the order (limits, folder) and the report as one JSON line each on the
socket, which the worker does not have. Once it runs, the worker's descriptors are 0 /dev/null,
1 and 2 the log, one high number the channel, and no other.
"""

from __future__ import annotations

import argparse
import importlib
import pathlib
import socket
import sys
import types

HERE = pathlib.Path(__file__).resolve().parent
PACKAGE = "_inside"
"""Name of this folder here, where it is no part of the grader."""


def load(name: str) -> types.ModuleType:
    """Import a module of this folder as part of PACKAGE: with -I the folder is not on the path."""
    package = sys.modules.setdefault(PACKAGE, types.ModuleType(PACKAGE))
    package.__path__ = [str(HERE)]
    return importlib.import_module(f"{PACKAGE}.{name}")


def main(argv: list[str]) -> None:
    """Start as told on the command line."""
    parser = argparse.ArgumentParser(prog="main.py")
    parser.add_argument("stage")
    parser.add_argument("--stages", type=pathlib.Path, default=HERE)
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--control", type=int, help="descriptor of the socket to the grader")
    how.add_argument("--container", action="store_true", help="be a container's first process")
    how.add_argument("--plain", action="store_true", help="be the one process of own code")
    parser.add_argument("--warm", action="store_true", help="be a zygote")
    options = parser.parse_args(argv)
    if options.plain:
        load("plain").work(options.stage, options.stages)
    zygote = load("zygote")
    if options.container:
        zygote.forget_settings()
    job = load("job").Job(options.stage, options.stages)
    if options.container:
        zygote.serve_container(job, warm=options.warm)
        return
    control = socket.socket(fileno=options.control)
    if options.warm:
        zygote.serve(job, control)
    else:
        load("supervisor").supervise(job, load("lines").SocketLine(control, (0, 1, 2)))


if __name__ == "__main__":
    main(sys.argv[1:])
