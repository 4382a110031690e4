"""`grade pack`: the same zip from the same folder, checked by the rules it will meet."""

from __future__ import annotations

import ast
import json
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import AwareDatetime, Field

from grader import files
from grader.assignment import Assignment
from grader.domain import RECIPE, Record, Sha256, Submission
from grader.engine.recipe import RecipeError, parse_recipe
from grader.errors import InfrastructureError, UsageError
from grader.intake import DEFAULT, IntakePolicy, Scope, collect
from grader.intake.kinds import ARCHIVE, RECEIPT
from grader.run.request import trace_request
from grader.sandbox import open_sandbox, sandbox_for_own_code
from grader.sandbox.contract import Stage
from grader.syntax import module_of

WHY_LENGTH = 300
"""Characters of a text of Keras's that a remark quotes."""
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
        folder: Folder with the module of the assignment, or its notebook.
        dest: Folder for the two files; created where missing. May be `folder` itself.
        policy: Names the module, and what a submission may measure.

    Returns:
        Path of the zip. The receipt stands beside it; read it with `read_receipt`.

    Raises:
        SubmissionRejected: The grader would refuse it; says why.
        UsageError: `folder` is no folder, or the zip cannot be written to `dest`.
        InfrastructureError: The disk failed.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: expected a folder with {policy.asked}. Received: no folder.")
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
    original = _notebook_of(folder, first, policy)
    packed = room / ARCHIVE
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(paths):
            if path == policy.module and original:
                _add(archive, policy.notebook, original.read_bytes())
            else:
                _add(archive, path, (tree / path).read_bytes())
    second = collect(packed, room / "again", policy=policy)
    seen = tuple(dict.fromkeys((*first.remarks, *second.remarks)))
    return packed, second.model_copy(update={"remarks": seen})


def _notebook_of(folder: Path, submission: Submission, policy: IntakePolicy) -> Path | None:
    """The notebook that the module was read from; it goes into the zip in its stead."""
    module, notebook = policy.module, policy.notebook
    if not any(r == f"{module} was read from {notebook}." for r in submission.remarks):
        return None
    places = [folder / notebook, *sorted(folder.glob(f"*/{notebook}"))]
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


def told_of_packed(
    archive: Path, receipt: Receipt, remarks: Sequence[str], assignment: Assignment
) -> Iterator[str]:
    """What is in the zip, what to look at, and where it goes until when.

    Args:
        archive: The zip.
        receipt: Of the zip.
        remarks: What was left out, and what to look at.
        assignment: Says when it is due.
    """
    yield f"{archive}  {len(receipt.files)} files, {receipt.size_bytes:,} bytes"
    for file in receipt.files:
        weights = ", the weights that count" if file.path == receipt.weights else ""
        yield f"file      {file.path}  {file.size_bytes:,} bytes{weights}"
    if receipt.weights is None and assignment.evaluation is not None:
        yield "weights   none: the accuracy cannot be graded. grade train writes them."
    for remark in remarks:
        yield f"remark    {remark}"
    yield f"SHA-256   {receipt.sha256}"
    zone = assignment.deadline.zone_info
    due = assignment.deadline.due.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
    yield f"Next: hand in {receipt.archive} where your course collects it, until {due} {zone.key}."
    yield f"Keep {RECEIPT}: it shows what you handed in."


# --- what to look at before it is handed in ---------------------------------------------------


def remarks_on_packed(archive: Path, weights: str | None, rules: Assignment) -> list[str]:
    """What to look at before a zip is handed in: a recipe that is none, weights that do not fit.

    The weights are loaded where a grading loads them, into the student's own `build_model()`.

    Args:
        archive: What `pack` wrote.
        weights: The weights file in it that counts.
        rules: The assignment that it is packed for.
    """
    remarks = []
    with zipfile.ZipFile(archive) as packed:
        if rules.module in packed.namelist():
            remarks += _remark_on_stubs(rules.module, packed.read(rules.module))
        if RECIPE in packed.namelist():
            try:
                parse_recipe(packed.read(RECIPE))
            except RecipeError as error:
                remarks.append(str(error))
    if weights is not None and rules.evaluation is not None:
        remarks += _remark_on_weights(archive, weights, rules)
    return remarks


def _remark_on_stubs(module: str, source: bytes) -> list[str]:
    """Functions that are still to be written, as the template hands them out."""
    try:
        tree = module_of(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # grade check says so
        return []
    stubs = [n.name for n in tree.body if isinstance(n, ast.FunctionDef) and _is_stub(n)]
    told = " and ".join(stubs)
    return [f"{module}: still to be written: {told}. grade check says more."] if stubs else []


def _is_stub(function: ast.FunctionDef) -> bool:
    last = function.body[-1]
    raised = last.exc if isinstance(last, ast.Raise) else None
    name = raised.func if isinstance(raised, ast.Call) else raised
    return isinstance(name, ast.Name) and name.id == "NotImplementedError"


def _remark_on_weights(archive: Path, weights: str, rules: Assignment) -> list[str]:
    policy = IntakePolicy.of(rules)
    weights_alone = rules.model_copy(update={"networks": ()})
    try:
        with files.scratch("pack") as scratch:
            collect(archive, scratch / "tree", policy=policy)
            room = open_sandbox(sandbox_for_own_code())
            try:
                request = trace_request([], weights, weights_alone)
                result = room.run(Stage("trace", scratch / "tree", request, rules.limits))
            finally:
                room.close()
    except InfrastructureError as error:
        return [f"{weights} was not tried with build_model() here: {error}"]
    return _said_of_weights(result.json_frames.get("model", b"{}"), weights)


def _said_of_weights(frame: bytes, weights: str) -> list[str]:
    """What the program in the sandbox says of loading; own code has no reason to lie."""
    told = json.loads(frame)
    loading = told.get("weights")
    if not loading:
        return [f"{weights} was not tried: build_model() gives no network. grade check says why."]
    if loading.get("loaded"):
        return []
    why = str(loading.get("failure", {}).get("message", ""))[:WHY_LENGTH].strip()
    return [
        f"{weights} does not fit build_model(): {why} Train again, or make build_model() the "
        "network that was trained; the accuracy earns nothing as it is."
    ]
