"""One tree of errors: whose fault it is, and which exit status it ends in.

    GraderError
    ├── UsageError              exit 2   the command line or assignment.toml is wrong
    │   └── AssignmentError     exit 2   file, key, value, what to do
    ├── SubmissionRejected      exit 1   nothing to grade: bad zip, missing file
    ├── StageFailed             exit 0   a stage ended by the student's doing; becomes findings
    └── InfrastructureError     exit 3   the machine or the grader failed; never becomes points

Every one but the usage errors carries a `Cause`, and a cause knows whose fault it is.
"""

from __future__ import annotations

from enum import StrEnum

EXIT_GRADED = 0
EXIT_REJECTED = 1
EXIT_USAGE = 2
EXIT_INFRASTRUCTURE = 3


class Cause(StrEnum):
    """Why a stage did not give what it should. The prefix says whose fault it is."""

    STUDENT_IMPORT = "STUDENT_IMPORT"
    STUDENT_EXCEPTION = "STUDENT_EXCEPTION"
    STUDENT_TIMEOUT = "STUDENT_TIMEOUT"
    STUDENT_OUT_OF_MEMORY = "STUDENT_OUT_OF_MEMORY"
    STUDENT_EXITED = "STUDENT_EXITED"
    """The student's process ended (exit, signal) before it had answered."""
    STUDENT_BAD_OUTPUT = "STUDENT_BAD_OUTPUT"
    """What came over the pipe was not a valid answer."""
    STUDENT_OUTPUT_LIMIT = "STUDENT_OUTPUT_LIMIT"
    STUDENT_FORBIDDEN_OP = "STUDENT_FORBIDDEN_OP"
    STUDENT_OTHER_NETWORK = "STUDENT_OTHER_NETWORK"
    """`build_model()` is no densely connected network, and the accuracy is asked of one."""
    STUDENT_FORBIDDEN_CALL = "STUDENT_FORBIDDEN_CALL"
    """The sandbox stopped a system call: network, another file, a new program."""
    STUDENT_DISK_LIMIT = "STUDENT_DISK_LIMIT"
    STUDENT_PROCESS_LIMIT = "STUDENT_PROCESS_LIMIT"
    STUDENT_CPU_LIMIT = "STUDENT_CPU_LIMIT"

    SUBMISSION_BAD_ARCHIVE = "SUBMISSION_BAD_ARCHIVE"
    SUBMISSION_TOO_LARGE = "SUBMISSION_TOO_LARGE"
    SUBMISSION_UNSAFE_NAME = "SUBMISSION_UNSAFE_NAME"
    SUBMISSION_MISSING_FILE = "SUBMISSION_MISSING_FILE"
    SUBMISSION_BAD_NOTEBOOK = "SUBMISSION_BAD_NOTEBOOK"
    SUBMISSION_BAD_RECIPE = "SUBMISSION_BAD_RECIPE"
    SUBMISSION_LATE = "SUBMISSION_LATE"

    INFRA_ENGINE = "INFRA_ENGINE"
    """The container engine, its image or its runtime is missing or failed."""
    INFRA_SANDBOX = "INFRA_SANDBOX"
    """This machine cannot give the isolation that was asked for."""
    INFRA_GPU = "INFRA_GPU"
    INFRA_DATA = "INFRA_DATA"
    INFRA_DISK = "INFRA_DISK"
    INFRA_MEMORY = "INFRA_MEMORY"
    INFRA_BUSY = "INFRA_BUSY"
    """Others kept this machine from giving a program the time or the threads it may have."""
    INFRA_TENSORFLOW = "INFRA_TENSORFLOW"
    INFRA_INTERRUPTED = "INFRA_INTERRUPTED"
    INFRA_GRADER_BUG = "INFRA_GRADER_BUG"

    @property
    def is_infrastructure(self) -> bool:
        """Whether the machine or the grader is at fault, so that no points may follow."""
        return self.value.startswith("INFRA_")


class GraderError(Exception):
    """Root of all errors the grader raises on purpose."""

    exit_status = EXIT_INFRASTRUCTURE


class UsageError(GraderError):
    """The command line or a configuration file asks for something impossible."""

    exit_status = EXIT_USAGE


class AssignmentError(UsageError):
    """assignment.toml is wrong: names file, key, value and what to do."""


class SubmissionRejected(GraderError):
    """There is nothing to grade: the archive is unusable or lacks what it must have.

    Args:
        cause: A SUBMISSION_* cause.
        message: What was found, in the student's words.
        help: How to repack, one sentence.
    """

    exit_status = EXIT_REJECTED

    def __init__(self, cause: Cause, message: str, help: str = "") -> None:
        super().__init__(message)
        self.cause = cause
        self.message = message
        self.help = help


class StageFailed(GraderError):
    """A stage ended by the student's doing; it becomes a failed check, not an abort."""

    exit_status = EXIT_GRADED

    def __init__(self, cause: Cause, message: str) -> None:
        super().__init__(message)
        self.cause = cause
        self.message = message


class InfrastructureError(GraderError):
    """The machine or the grader failed; the grade is withheld, never lowered.

    Args:
        cause: An INFRA_* cause.
        message: The underlying error, for the operator.
        help: What the operator can do.
    """

    exit_status = EXIT_INFRASTRUCTURE

    def __init__(self, cause: Cause, message: str, help: str = "") -> None:
        super().__init__(message)
        self.cause = cause
        self.message = message
        self.help = help
