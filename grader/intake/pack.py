"""`grade pack`: the same zip from the same folder, checked by the rules it will meet."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import AwareDatetime, Field

from grader import files
from grader.domain import Record, Sha256, Submission
from grader.errors import UsageError
from grader.intake.collecting import collect
from grader.intake.kinds import ARCHIVE, MODULE, NOTEBOOK, RECEIPT
from grader.intake.policy import DEFAULT, IntakePolicy
from grader.intake.working import Scope

EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time of every member: the earliest a zip can hold, so that equal files give equal bytes."""


class ReceiptFile(Record):
    """One file of the packed zip."""

    path: str
    """Relative POSIX path."""
    size_bytes: int = Field(ge=0)
    sha256: Sha256


class Receipt(Record):
    """What a student keeps: proof of what was packed, to be set beside what arrived."""

    archive: str
    """File name of the zip."""
    sha256: Sha256
    """Of the zip's bytes; equal to the grade's `submission.sha256`."""
    size_bytes: int = Field(gt=0)
    files: tuple[ReceiptFile, ...]
    weights: str | None
    """The weights file that counts."""
    remarks: tuple[str, ...]
    """What was left out, and what to look at before handing in."""
    packed_at: AwareDatetime
    """This machine's clock; says nothing about when it was handed in."""


def pack(folder: Path, dest: Path, *, policy: IntakePolicy = DEFAULT) -> Path:
    """Write `dest`/submission.zip and its receipt from a folder.

    What counts of the folder goes through the intake, so that what the grader would refuse is
    refused here, and the finished zip goes through it once more. The rest is left, with a remark.

    Args:
        folder: Folder with densenet.py or densenet.ipynb.
        dest: Folder for the two files; created where missing. May be `folder` itself.
        policy: What a submission may measure.

    Returns:
        Path of the zip. The receipt stands beside it; read it with `read_receipt`.

    Raises:
        SubmissionRejected: The grader would refuse it; says why.
        UsageError: `folder` is no folder, or the zip cannot be written to `dest`.
        InfrastructureError: The disk failed.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: expected a folder with densenet.py. Received: no folder.")
    archive = dest / ARCHIVE
    with _written_to(archive):
        dest.mkdir(parents=True, exist_ok=True)
    with files.scratch("pack") as room:
        packed, submission = _packed(folder, room, policy)
        with _written_to(archive):
            files.write_atomically(archive, packed.read_bytes())
            files.write_atomically(dest / RECEIPT, _receipt(packed, submission).encode())
    return archive


@contextmanager
def _written_to(archive: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"{archive}: cannot be written: {error.strerror or error}. "
            "Name another folder for it with -o FOLDER."
        ) from error


def read_receipt(path: Path) -> Receipt:
    """Read the receipt that `pack` wrote beside a zip.

    Args:
        path: The receipt, or the zip it stands beside.
    """
    place = path if path.suffix == ".json" else path.with_name(RECEIPT)
    return Receipt.model_validate_json(place.read_bytes())


def _packed(folder: Path, room: Path, policy: IntakePolicy) -> tuple[Path, Submission]:
    first = collect(folder, room / "tree", policy=policy, scope=Scope.WORK)
    paths = [file.path for file in first.files]
    tree = Path(first.root)
    original = _notebook_of(folder, first)
    packed = room / ARCHIVE
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(paths):
            if path == MODULE and original:
                _add(archive, NOTEBOOK, original.read_bytes())
            else:
                _add(archive, path, (tree / path).read_bytes())
    second = collect(packed, room / "again", policy=policy)
    seen = tuple(dict.fromkeys((*first.remarks, *second.remarks)))
    return packed, second.model_copy(update={"remarks": seen})


def _notebook_of(folder: Path, submission: Submission) -> Path | None:
    """The notebook that densenet.py was read from; it goes into the zip in its stead."""
    if not any(r == f"{MODULE} was read from {NOTEBOOK}." for r in submission.remarks):
        return None
    places = [folder / NOTEBOOK, *sorted(folder.glob(f"*/{NOTEBOOK}"))]
    return next(place for place in places if place.is_file())


def _add(archive: zipfile.ZipFile, path: str, content: bytes) -> None:
    info = zipfile.ZipInfo(path, EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o100644 << 16
    info.create_system = 3  # on every machine, so that the bytes are the same
    archive.writestr(info, content)


def _receipt(packed: Path, submission: Submission) -> str:
    receipt = Receipt(
        archive=packed.name,
        sha256=submission.sha256,
        size_bytes=packed.stat().st_size,
        files=tuple(ReceiptFile(**file.model_dump()) for file in submission.files),
        weights=submission.weights,
        remarks=submission.remarks,
        packed_at=datetime.now(UTC),
    )
    return json.dumps(receipt.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
