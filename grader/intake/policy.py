"""What a submission may measure. One frozen record; every number says where it comes from."""

from __future__ import annotations

from pydantic import Field

from grader.assignment import Assignment
from grader.domain import MODULE, Record

MEBIBYTE = 2**20


class IntakePolicy(Record):
    """What intake asks of every zip and folder. All sizes are bytes."""

    module: str = Field(default=MODULE, pattern=r"^([^/\\:.]+\.py)?$")
    """The file that must be there, or the notebook of its name; empty where any of `named` will
    do, or any code where these are none."""
    named: tuple[str, ...] = ()
    """Files that the assignment names beside the module."""

    data_files: tuple[str, ...] = ()
    """Files at the top that are read as data, such as answers.toml; a notebook may write them in
    a cell of their own."""

    own_folder: bool = False
    """Whether it is a folder that somebody works in: advice then speaks of it, and of no zip."""

    archive_bytes: int = Field(default=128 * MEBIBYTE, gt=0)
    """The zip as handed in. Holds the float32 weights of the paper's largest network for CIFAR
    (basic L=100 k=24: 27.5 million numbers, 110 MB)."""
    total_bytes: int = Field(default=256 * MEBIBYTE, gt=0)
    """Everything in it, decompressed. Twice the largest weights file."""
    file_bytes: int = Field(default=16 * MEBIBYTE, gt=0)
    """One source, text or data file, decompressed. Generous for code."""
    notebook_bytes: int = Field(default=16 * MEBIBYTE, gt=0)
    """One notebook, pictures included. JSON takes some 30 times its size in memory at worst."""
    weights_bytes: int = Field(default=128 * MEBIBYTE, gt=0)
    """One weights file."""
    entries: int = Field(default=5000, gt=0)
    """Names in the zip or folder, clutter included. A packed virtual environment has far more."""
    files: int = Field(default=500, gt=0)
    """Files that are kept. A submission has a handful."""
    ratio: int = Field(default=200, gt=1)
    """Decompressed over compressed size of one file above `ratio_from_bytes`. Text reaches 20,
    deflate cannot pass 1032."""
    ratio_from_bytes: int = Field(default=MEBIBYTE, ge=0)
    """Files up to this size are not held to the ratio: they can do no harm."""
    name_bytes: int = Field(default=200, gt=0)
    """One part of a path in UTF-8; file systems stop at 255."""
    path_bytes: int = Field(default=800, gt=0)
    """A whole path in UTF-8."""
    depth: int = Field(default=12, gt=0)
    """Parts of a path, the top folder included."""

    @classmethod
    def of(cls, assignment: Assignment) -> IntakePolicy:
        """What an assignment asks for."""
        return cls(
            module=assignment.module, named=assignment.files, data_files=assignment.data_files
        )

    @property
    def notebook(self) -> str:
        """The notebook that may stand for the module; empty where there is no one module."""
        return f"{self.module.removesuffix('.py')}.ipynb" if self.module else ""

    @property
    def and_repack(self) -> str:
        """How an advice about one file ends."""
        return "" if self.own_folder else " and repack"

    @property
    def whole(self) -> str:
        """What all files together are, for a message."""
        return "folder" if self.own_folder else "submission"

    @property
    def asked(self) -> str:
        """What has to be there, for a message."""
        return self.module or " or ".join(self.named) or "a Python file"

    def is_module(self, name: str) -> bool:
        """Whether a file of this name makes a folder a submission."""
        if self.module:
            return name in (self.module, self.notebook)
        if self.named:
            return name in self.named or name.removesuffix(".ipynb") + ".py" in self.named
        return name.casefold().endswith((".py", ".ipynb"))


DEFAULT = IntakePolicy()
