"""Honest but odd: what real tools make and real students do. None of it may be refused."""

from __future__ import annotations

import io
import json
import stat
import zipfile

from tests.hostile.cases import Case, Recipe, Taken, folder_of, zip_of
from tests.intake.zips import (
    MODULE_SOURCE,
    Part,
    deflated,
    descriptor,
    made,
    module,
    zip64_field,
)

HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(64)
FOLDER = stat.S_IFDIR | 0o755


def finder() -> bytes:
    """As the Finder compresses a folder: sizes behind the data, AppleDouble files, .DS_Store."""
    parts = []
    for name, content in [
        ("hw3/densenet.py", MODULE_SOURCE),
        ("hw3/.DS_Store", b"\0\0\0\1Bud1"),
        ("__MACOSX/hw3/._densenet.py", b"\0\5\x16\7"),
        ("hw3/Icon\r", b""),
    ]:
        part = Part(name, content, flags=8, local_crc=0, local_size=0, local_packed_size=0)
        part.descriptor = descriptor(part)
        parts.append(part)
    return made(Part("hw3/", mode=FOLDER, method=0), *parts)


def streamed() -> bytes:
    """As a server writes a zip to a socket, with zip64 descriptors."""
    part = module(
        flags=8,
        local_crc=0,
        local_size=0xFFFFFFFF,
        local_packed_size=0xFFFFFFFF,
        local_extra=zip64_field(0, 0),
    )
    part.descriptor = descriptor(part, wide=True)
    return made(part)


def with_comment() -> bytes:
    """As GitHub serves a repository: one top folder, the commit as comment."""
    files = {"repo-main/densenet.py": MODULE_SOURCE, "repo-main/.gitignore": b"*.pyc\n"}
    files["repo-main/README.md"] = b"# DenseNet\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("repo-main/", b"")
        for name, content in files.items():
            archive.writestr(name, content)
        archive.comment = b"5f2c1b0a9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a"
    return buffer.getvalue()


def notebook() -> Recipe:
    cells = [
        {"cell_type": "markdown", "source": "# DenseNet"},
        {"cell_type": "code", "source": ["%matplotlib inline\n", "!pip install -q keras\n"]},
        {"cell_type": "code", "source": MODULE_SOURCE.decode(), "outputs": []},
        {"cell_type": "raw", "source": "not code"},
    ]
    whole = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}
    return zip_of(made(Part("densenet.ipynb", json.dumps(whole).encode())))


def case(name: str, make: Recipe, expect: Taken, why: str) -> Case:
    return Case(name, "honest", make, expect, why)


HONEST: tuple[Case, ...] = (
    case("zip of the Finder", zip_of(finder()), Taken(remark="macOS files (3)"),
         "half of all students use it"),
    case("zip of Windows PowerShell",
         zip_of(made(module(name="hw3\\densenet.py", made_by=0), Part("hw3\\lib\\a.py", b"x",
         made_by=0))),
         Taken(("densenet.py", "lib/a.py")), "Compress-Archive 5.1 writes backslashes"),
    case("zip of a server", zip_of(streamed()), Taken(), "Google Drive and Colab stream"),
    case("zip of GitHub", zip_of(with_comment()),
         Taken(("README.md", "densenet.py"), "version control (1)"), "carries a comment"),
    case("zip without compression", zip_of(made(module(method=0))), Taken(),
         "some tools only store"),
    case("zip with zip64 fields it does not need",
         zip_of(made(module(
             size=0xFFFFFFFF, packed_size=0xFFFFFFFF,
             extra=zip64_field(len(MODULE_SOURCE), len(deflated(MODULE_SOURCE))),
             local_extra=zip64_field(len(MODULE_SOURCE), len(deflated(MODULE_SOURCE)))))),
         Taken(), "some tools always write them"),
    case("zip with ./ in front", zip_of(made(Part("./", mode=FOLDER, method=0),
         module(name="./densenet.py"))), Taken(), "bsdtar -a"),
    case("zip with times and owners", zip_of(made(module(
         extra=b"UT\5\0\1\0\0\0\0ux\x0b\0\1\4\xe8\3\0\0\4\xe8\3\0\0"))), Taken(), "Info-ZIP"),
    case("file without any permission", zip_of(made(module(mode=0o100000))), Taken(),
         "its mode is ours, not the zip's"),
    case("folder named in Hindi", zip_of(made(module(name="अनन्या_घनत्व/densenet.py"))), Taken(),
         "vowel signs are no control characters"),
    case("folder with a joiner", zip_of(made(module(name="क्\u200dष/densenet.py"))), Taken(),
         "a format character that Indic names are written with"),
    case("folder in decomposed accents", zip_of(made(module(name="Rene\u0301/densenet.py"))),
         Taken(),
         "macOS decomposes names"),
    case("folder in an old code page", zip_of(made(Part(b"\x9abung/densenet.py", MODULE_SOURCE))),
         Taken(), "zips of old Windows tools"),
    case("folder with a space at its end", zip_of(made(module(name="Jane Doe /densenet.py"))),
         Taken(),
         "allowed on macOS"),
    case("empty modules of packages",
         zip_of(made(module(), Part("layers/__init__.py", b"", method=0), Part("layers/a.py",
         b"x"))),
         Taken(("densenet.py", "layers/__init__.py", "layers/a.py")),
         "an empty file is no broken file"),
    case("everything on the desk",
         folder_of({"densenet.py": MODULE_SOURCE, "venv/bin/python": b"", ".git/HEAD": b"",
                    "__pycache__/densenet.cpython-311.pyc": b"", "Thumbs.db": b"",
                    "report.docx": b"PK\3\4", "plot.png": b"\x89PNG", "submission.zip": b"PK"}),
         Taken(remark="a virtual environment"), "students hand in what lies there"),
    case("links of a virtual environment",
         folder_of({"densenet.py": MODULE_SOURCE, "venv/x": b""},
                   lambda root: (root / "venv" / "python").symlink_to("/usr/bin/python3")),
         Taken(remark="a virtual environment"), "clutter is not entered"),
    case("office documents beside the code",
         zip_of(made(module(), Part("report.docx", made(Part("a.xml", b"<a/>"))), Part("a.npz",
         b"PK"))),
         Taken(remark="report.docx"), "they are zips, and no nested archives"),
    case("notebook with magics", notebook(), Taken(remark="densenet.ipynb",
         source="# cell 3\nimport keras"),
         "Colab"),
    case("weights and a recipe",
         zip_of(made(module(), Part("model.weights.h5", HDF5), Part("recipe.toml", b"epochs = 1"))),
         Taken(("densenet.py", "model.weights.h5", "recipe.toml")), "the whole contract"),
    case("weights of an older Keras", zip_of(made(module(), Part("best.h5", HDF5))),
         Taken(("best.h5", "densenet.py"), "expected *.weights.h5"),
         "named as tutorials name them"),
    case("checkpoints beside the weights",
         zip_of(made(module(), Part("model.weights.h5", HDF5), Part("densenet.weights.h5", HDF5))),
         Taken(("densenet.py", "densenet.weights.h5"), "another weights file counts"),
         "the rule decides"),
)  # fmt: skip
