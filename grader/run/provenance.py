"""What decides what a run gives beside what is asked: programs and their versions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import grader

PACKAGE = Path(grader.__file__).parent


def inside_digest() -> str:
    """Changes with the program that runs inside, so that no run outlives what made it."""
    return programs_digest("inside")


@cache
def programs_digest(*rooms: str) -> str:
    """Changes with the programs of some rooms, folders or single files."""
    found = [[*(PACKAGE / room).rglob("*.py"), *PACKAGE.glob(f"{room}.py")] for room in rooms]
    programs = [file for files in found for file in sorted(files)]
    return hashlib.sha256(b"".join(file.read_bytes() for file in programs)).hexdigest()


def reference_digest(
    tree: Path, asked: Sequence[Any] | dict[str, Any], isolation: str, libraries: Sequence[str]
) -> str:
    """Changes with the files of a reference, with what is asked of it, and with what answers.

    Args:
        tree: The folder of its files.
        asked: What the program in the sandbox is asked.
        isolation: The sandbox's.
        libraries: Packages whose versions decide what it gives.
    """
    whole = hashlib.sha256(json.dumps([asked, isolation, inside_digest()]).encode())
    whole.update(" ".join(str(version_of(name)) for name in libraries).encode())
    for file in sorted(tree.iterdir()):
        whole.update(f"\0{file.name}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return whole.hexdigest()[:32]


def tensorflow_version() -> str | None:
    """The installed TensorFlow's, under either of its names."""
    return version_of("tensorflow") or version_of("tensorflow-cpu")


def version_of(package: str) -> str | None:
    """The version of an installed package; None where there is none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
