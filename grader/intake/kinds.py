"""Which files of a submission are kept, which are left out, and why; one table per question."""

from __future__ import annotations

import sys
from enum import StrEnum

from grader.intake.paths import Parts, portable

ARCHIVE = "submission.zip"
RECEIPT = "submission.receipt.json"
"""What `grade pack` writes, often into the very folder it packs."""

WEIGHTS_ENDINGS = (".weights.h5", ".keras", ".h5", ".hdf5")
KEPT_ENDINGS = (".py", ".toml", ".md", ".txt", ".json", ".csv", *WEIGHTS_ENDINGS)
"""Kinds that reach the sandbox. Notebooks do not: densenet.ipynb is rewritten as densenet.py."""

CODE_BEHIND_THE_BACK = {
    ".so": "compiled code",
    ".pyd": "compiled code",
    ".dll": "compiled code",
    ".dylib": "compiled code",
    ".pyc": "compiled code",
    ".pyo": "compiled code",
    ".pth": "a file that Python runs at start (or PyTorch weights)",
    ".egg-link": "a file that changes where Python looks for modules",
}
RUN_UNASKED = {
    "sitecustomize": "a module that Python runs at start",
    "usercustomize": "a module that Python runs at start",
    "conftest": "a module that pytest runs unasked",
}
ARCHIVE_ENDINGS = (
    ".zip", ".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".tbz", ".xz", ".txz", ".zst", ".lz4",
    ".whl", ".egg", ".jar", ".cab", ".iso", ".dmg",
)  # fmt: skip

CLUTTER_FOLDERS = {
    "__macosx": "macOS files",
    ".spotlight-v100": "macOS files",
    ".trashes": "macOS files",
    ".fseventsd": "macOS files",
    "$recycle.bin": "Windows files",
    "system volume information": "Windows files",
    ".git": "version control",
    ".svn": "version control",
    ".hg": "version control",
    "__pycache__": "caches",
    ".ipynb_checkpoints": "caches",
    ".pytest_cache": "caches",
    ".mypy_cache": "caches",
    ".ruff_cache": "caches",
    ".hypothesis": "caches",
    ".cache": "caches",
    "venv": "a virtual environment",
    ".venv": "a virtual environment",
    "env": "a virtual environment",
    ".env": "a virtual environment",
    "virtualenv": "a virtual environment",
    ".tox": "a virtual environment",
    ".nox": "a virtual environment",
    "site-packages": "a virtual environment",
    "node_modules": "a virtual environment",
    ".conda": "a virtual environment",
    ".idea": "editor files",
    ".vscode": "editor files",
    ".vs": "editor files",
}
CLUTTER_FILES = {
    ".ds_store": "macOS files",
    ".localized": "macOS files",
    "icon\r": "macOS files",
    "thumbs.db": "Windows files",
    "ehthumbs.db": "Windows files",
    "desktop.ini": "Windows files",
    ".gitignore": "version control",
    ".gitattributes": "version control",
    ".gitkeep": "version control",
    ".gitmodules": "version control",
    ".directory": "editor files",
    ".python-version": "editor files",
    ".editorconfig": "editor files",
    RECEIPT: "the receipt of an earlier pack",
}
CLUTTER_ENDINGS = {
    ".swp": "editor files",
    ".swo": "editor files",
    ".orig": "editor files",
    ".bak": "editor files",
    ".tmp": "editor files",
    "~": "editor files",
    ".lnk": "Windows files",
    ":zone.identifier": "Windows files",
}

OURS_AND_THIRD_PARTY = frozenset(
    {
        "tensorflow",
        "keras",
        "numpy",
        "h5py",
        "jax",
        "jaxlib",
        "torch",
        "ml_dtypes",
        "optree",
        "absl",
        "scipy",
        "pandas",
        "matplotlib",
        "cv2",
        "PIL",
        "pydantic",
        "rich",
        "grader",
    }
)


class Fate(StrEnum):
    """What becomes of a file of a submission."""

    KEPT = "kept"
    NOTEBOOK = "notebook"
    DROPPED = "dropped"
    IGNORED = "ignored"
    NESTED = "nested"


def clutter(parts: Parts) -> str | None:
    """The kind of clutter a path belongs to, None for a file that may count."""
    lower = [part.casefold() for part in parts]
    for part in lower:
        if part in CLUTTER_FOLDERS:
            return CLUTTER_FOLDERS[part]
        if part.startswith("._"):
            return "macOS files"
    name = lower[-1] if lower else ""
    if name in CLUTTER_FILES:
        return CLUTTER_FILES[name]
    for ending, kind in CLUTTER_ENDINGS.items():
        if name.endswith(ending):
            return kind
    return None


def fate(parts: Parts) -> Fate:
    """What becomes of a file that is not clutter, going by its name."""
    if not parts:
        return Fate.IGNORED
    name = parts[-1].casefold()
    if dropped_because(parts):
        return Fate.DROPPED
    if is_archive(name):
        return Fate.NESTED
    if not all(portable(part) for part in parts):
        return Fate.IGNORED
    if name.endswith(".ipynb"):
        return Fate.NOTEBOOK
    return Fate.KEPT if name.endswith(KEPT_ENDINGS) else Fate.IGNORED


def dropped_because(parts: Parts) -> str | None:
    """Why a file must not reach the sandbox although Python would use it, None if it may."""
    for part in parts:
        stem = part.casefold().split(".")[0]
        if stem in RUN_UNASKED:
            return RUN_UNASKED[stem]
    name = parts[-1].casefold()
    for ending, why in CODE_BEHIND_THE_BACK.items():
        if name.endswith(ending) or (ending == ".so" and ".so." in name):
            return why
    return None


def is_archive(name: str) -> bool:
    """Whether a file name is one of an archive."""
    return name.casefold().endswith(ARCHIVE_ENDINGS)


def is_weights(name: str) -> bool:
    """Whether a file name is one of a weights file."""
    return name.casefold().endswith(WEIGHTS_ENDINGS)


def shadows(parts: Parts) -> str | None:
    """The well-known module that a top-level file or folder of the submission would hide."""
    if len(parts) == 1 and not parts[0].endswith(".py"):
        return None
    stem = parts[0].removesuffix(".py")
    known = stem in sys.stdlib_module_names or stem in OURS_AND_THIRD_PARTY
    return stem if known else None
