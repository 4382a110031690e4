"""`grade compare`: the networks of two files, traced apart in the sandbox and compared.

The two never share a process: what one file patches cannot touch the other.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from grader import files
from grader.domain import Finding, Limits
from grader.errors import UsageError
from grader.export.files import write_out
from grader.graph.compare import Subject, same_network
from grader.run.reference import (
    MODES,
    PROBE,
    Untraceable,
    answer_of,
    copy_sources,
    subject_of,
)
from grader.sandbox import Kind, open_sandbox
from grader.sandbox.contract import Sandbox, Stage


@dataclass(frozen=True)
class FunctionAt:
    """FILE.py:FUNCTION.

    Attributes:
        file: A Python file; the .py files beside it can be imported.
        function: A function in it that gives a model when called without arguments.
    """

    file: Path
    function: str

    def __str__(self) -> str:
        """As it is written."""
        return f"{self.file.name}:{self.function}"


def function_at(written: str, folder: Path = Path(".")) -> FunctionAt:
    """Read FILE.py:FUNCTION.

    Args:
        written: As on the command line or in assignment.toml.
        folder: What a relative path starts from.

    Raises:
        UsageError: It is not of that form, or there is no such file.
    """
    path, colon, function = written.rpartition(":")
    file = folder / path
    if not colon or not function.isidentifier() or file.suffix != ".py":
        raise UsageError(f"expected FILE.py:FUNCTION. Received: {written}")
    if not file.is_file():
        raise UsageError(f"{path}: expected a Python file. Received: no such file.")
    if "." in file.stem:
        raise UsageError(f"{file.name}: expected a name without dots, so that it can be imported.")
    return FunctionAt(file, function)


def compare_files(
    mine: FunctionAt,
    reference: FunctionAt,
    input_shape: Sequence[int] | None = None,
    sandbox: Kind = "auto",
) -> list[Finding]:
    """Compare the networks of two files.

    Args:
        mine: The one that is judged.
        reference: What it should be.
        input_shape: Height, width and channels of the images; needed for a subclassed model.
        sandbox: Where both run.

    Returns:
        The differences, as `grader.graph.compare.same_network` gives them. A file of `mine` that
        gives no network is one difference.

    Raises:
        UsageError: The reference gives no network.
        InfrastructureError: The machine failed.
    """
    opened = open_sandbox(sandbox, warm=True)
    try:
        try:
            wanted = trace_file(reference, opened, input_shape)
        except Untraceable as problem:
            raise UsageError(f"{reference}: expected a reference network. {problem}") from problem
        try:
            given = trace_file(mine, opened, input_shape)
        except Untraceable as problem:
            return [
                Finding(
                    where=str(mine),
                    message=f"{mine}: expected a network, received none. {problem}",
                    expected="a network",
                    received="none",
                )
            ]
        return same_network(given, wanted)
    finally:
        opened.close()


def write_comparison(
    findings: Sequence[Finding], mine: FunctionAt, reference: FunctionAt, file: Path
) -> None:
    """The result as JSON: mine, reference, same, findings.

    Raises:
        UsageError: The place cannot be written to.
        InfrastructureError: The disk failed or is full.
    """
    told = {
        "mine": str(mine),
        "reference": str(reference),
        "same": all(finding.severity == "remark" for finding in findings),
        "findings": [finding.model_dump(mode="json") for finding in findings],
    }
    text = json.dumps(told, ensure_ascii=False, indent=2)
    write_out(file, text.encode("utf-8", "replace") + b"\n")


def trace_file(
    what: FunctionAt,
    sandbox: Sandbox,
    input_shape: Sequence[int] | None = None,
    limits: Limits | None = None,
) -> Subject:
    """The network of one file as canonical graphs.

    Raises:
        Untraceable: There is none, or it could not be read.
        InfrastructureError: The machine failed.
    """
    with files.scratch("compare") as folder:
        tree = folder / "files"
        tree.mkdir()
        copy_sources(what.file, tree)
        request = {
            "module": None,
            "probes": [
                {
                    "id": PROBE,
                    "file": what.file.name,
                    "function": what.function,
                    "arguments": [],
                    "gives_model": True,
                    "output": None,
                    "input_shape": list(input_shape) if input_shape else None,
                    "modes": list(MODES),
                }
            ],
            "model": None,
        }
        result = sandbox.run(Stage("trace", tree, request, limits or Limits()))
        return subject_of(*answer_of(result))
