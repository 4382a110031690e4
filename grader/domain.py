"""Every record that crosses a stage: frozen, validated, documented where it is declared.

All datetimes are aware. All sizes are bytes, all times seconds, unless a name says otherwise.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
    model_validator,
)

from grader.errors import Cause

MODULE = "densenet.py"
NOTEBOOK = "densenet.ipynb"
RECIPE = "recipe.toml"
WEIGHTS = "densenet.weights.h5"
"""The files of a submission. Of several weights files this one counts: `grade train` writes it."""
LAPTOP_RECIPE = "recipe.laptop.toml"
"""Of the template: a training that a laptop's processor ends in a night at most."""
LEDGER = "ledger.sqlite"
"""The record of grades of a results folder."""
LEDGER_APPLICATION_ID = 0x44_4E_47_4C
"""Stands in that file's header: "DNGL"."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
ReceivedFrom = Literal["argument", "lms", "nbgrader", "receipt", "file-time"]
Isolation = Literal["docker", "jail", "none"]
Visibility = Literal["visible", "hidden", "after_due"]


class Record(BaseModel):
    """Base of all records: frozen, no unknown keys, no silent coercion of NaN to JSON null."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, ser_json_inf_nan="constants"
    )


# --- intake -------------------------------------------------------------------------------


class SubmittedFile(Record):
    """One file of the tree that the intake rewrote."""

    path: str
    """Relative POSIX path inside the submission, already checked and normalised."""
    size_bytes: int = Field(ge=0)
    sha256: Sha256

    @property
    def name(self) -> str:
        """The last component of the path."""
        return PurePosixPath(self.path).name


class Submission(Record):
    """What a student handed in, after intake: a clean tree on disk and what is known of it."""

    student_id: str
    """From the file name, an LMS export or an argument; never trusted as a path or markup."""
    person: str | None = None
    """The student_id that several submissions share, where `student_id` tells this one apart."""
    known_as: tuple[str, ...] = ()
    """Further ids of the student: a platform's number, a login, an e-mail address."""
    source: str
    """Its path below what the command line named, for display."""
    sha256: Sha256
    """Of the archive's bytes, or for a folder of its files' paths and contents in order."""
    root: str
    """Absolute path of the rewritten tree."""
    files: tuple[SubmittedFile, ...]
    weights: str | None = None
    """Relative path of the one weights file, if any."""
    recipe: str | None = None
    """Relative path of recipe.toml, if any."""
    copied: str | None = None
    """What of it equals the course's reference solution; None where nothing does."""
    written_sha256: Sha256 | None = None
    """Of what the student wrote, without comments; None where that is not known."""
    weights_sha256: Sha256 | None = None
    """Of the numbers of its trained weights; None where none were handed in."""
    received_at: AwareDatetime | None = None
    """When it was received; None when nothing tells."""
    received_from: ReceivedFrom | None = None
    doubt: str | None = None
    """Why nobody knows when it was received: a person decides."""
    remarks: tuple[str, ...] = ()
    """What intake ignored, repaired or noticed (clutter, magics in a notebook)."""

    @property
    def student(self) -> str:
        """Whose it is: of several submissions of one student, the id that they share."""
        return self.person or self.student_id


# --- sandbox ------------------------------------------------------------------------------


class Limits(Record):
    """What one stage in the sandbox may use. Each limit has its own cause when it is reached."""

    wall_time_s: float = Field(default=120.0, gt=0)
    """Clock on our side, less what others kept it from running; reached: STUDENT_TIMEOUT."""
    cpu_time_s: float = Field(default=240.0, gt=0)
    """CPU seconds of the process; reached: STUDENT_CPU_LIMIT."""
    memory_bytes: int = Field(default=6 * 2**30, gt=0)
    """Address space or container memory; reached: STUDENT_OUT_OF_MEMORY."""
    output_bytes: int = Field(default=256 * 2**20, gt=0)
    """All frames together; reached: STUDENT_OUTPUT_LIMIT."""
    log_bytes: int = Field(default=64 * 2**10, gt=0)
    """Kept tail of what the program prints; the rest is dropped, never an error."""
    file_bytes: int = Field(default=64 * 2**20, gt=0)
    """Largest file it may write in its private folder; reached: STUDENT_DISK_LIMIT."""
    processes: int = Field(default=256, gt=0)
    """Processes and threads at once; reached: STUDENT_PROCESS_LIMIT."""


class RunStatus(StrEnum):
    """How a stage in the sandbox ended."""

    DONE = "done"
    FAILED = "failed"


class Run(Record):
    """What came out of one stage in the sandbox."""

    status: RunStatus
    cause: Cause | None = None
    """None when done."""
    message: str = ""
    """For a person: what happened, without paths of this machine."""
    isolation: Isolation
    wall_time_s: float
    cpu_time_s: float | None = None
    peak_memory_bytes: int | None = None
    log_tail: str = ""
    """The end of what the program printed; hostile text."""


# --- findings and checks ------------------------------------------------------------------


class Thumbnail(Record):
    """A small picture beside a finding, as plain data."""

    title: str
    """What it shows: "expected", "received", "difference"."""
    rows: tuple[Annotated[str, Field(pattern=r"^([0-9a-f]{6})+$")], ...]
    """Each row as six hexadecimal digits a pixel: red, green, blue."""
    of: tuple[int, int]
    """Rows and columns of what it is made from."""


class Finding(Record):
    """One place where a submission differs from what was asked."""

    where: str
    """In the paper's words: "block 2, layer 5", "transition 1", "stem", "dense_block, layer 3"."""
    message: str
    """"what: expected X, received Y"."""
    expected: str = ""
    received: str = ""
    source: str = ""
    """Section or equation of the paper, e.g. "Huang et al. 2017, eq. 2"."""
    help: str = ""
    """One sentence: what to try."""
    severity: Literal["deviation", "remark"] = "deviation"
    what: str = ""
    """What differs there, the first part of the message: "its 3×3 convolution"."""
    layer: str = ""
    """The student's own layer there, and its place: "conv2d_2 in net.py, line 33"."""
    place: str = ""
    """Where an exception was raised in the student's files: "densenet.py, line 49, in f"."""
    line: int = Field(default=0, ge=0)
    """The number of the line there; 0 where it is not known."""
    code: str = ""
    """What stands in that line."""
    call: str = ""
    """A command that shows it; empty for a hidden configuration."""
    asked: str = ""
    """The call in words; of a hidden configuration only its kind."""
    pictures: tuple[Thumbnail, ...] = ()
    """Of two images that should be alike, and of where they differ."""
    places: tuple[str, ...] = ()
    """All places that show it, where there are several; `where` names the first of them."""
    through: str = ""
    """Where an exception was raised: places of the student's that were passed before."""
    printed: str = ""
    """The end of what that call printed; empty for a hidden configuration."""


class Outcome(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    ERROR = "error"


class CheckResult(Record):
    """What one check says of one submission."""

    name: str
    group: str
    """shape, parameters, architecture, accuracy, deadline, or a course topic."""
    title: str
    """The line a student reads: the first line of the check's docstring."""
    visibility: Visibility = "visible"
    outcome: Outcome
    score: float = 0.0
    max_score: float = 0.0
    rationale: str | None = None
    """Why it did not pass, one or two sentences."""
    help: str | None = None
    findings: tuple[Finding, ...] = ()
    rank: int = Field(default=0, ge=0)
    """Of the causes, the number in the order to mend them in; 0 for what is no cause."""
    follows_from: str | None = None
    """The check whose failure explains why this one did not pass."""


# --- evaluation ---------------------------------------------------------------------------


class Dataset(Record):
    """Which images the accuracy was measured on."""

    name: str
    sha256: Sha256
    """Of the test images and labels as arrays (uint8, N×32×32×3 then N)."""
    official: bool
    """Whether they are the official archive's."""


class Sparse(Record):
    """A record that is written without what nobody measured."""

    @model_serializer(mode="wrap")
    def _what_is_known(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {k: v for k, v in handler(self).items() if k in self.model_fields_set}


class Spent(Sparse):
    """Seconds that a measurement took, by what they went into."""

    queue_s: float = 0.0
    """Waiting for its turn on the processor, or for a GPU."""
    import_s: float = 0.0
    """Importing what computes."""
    calibration_s: float = 0.0
    """Training the reference network, to have a budget in its epochs."""
    data_s: float = 0.0
    """Reading images, moving them to the device, drawing their order and augmentation."""
    compilation_s: float = 0.0
    training_s: float = 0.0
    """Steps of a training: all that a budget counts."""
    evaluation_s: float = 0.0
    """Showing the test images."""
    charged_s: float | None = None
    """What of evaluation_s a budget counts; None for all."""
    further_s: float = 0.0
    """Showing the further images that `Looks` needs."""
    checkpoint_s: float = 0.0


class Epoch(Record):
    """One finished epoch."""

    number: int
    """1 is the first."""
    loss: float
    """Mean training loss over the epoch, on augmented images."""
    train_accuracy: float
    """Share of augmented training images right while training, 0..1."""
    test_accuracy: float | None
    """Share of test images right after the epoch, 0..1; None if not measured."""
    test_loss: float | None
    """Mean cross-entropy on the test images; None if not measured."""
    learning_rate: float
    """Rate of the last step."""
    images_per_s: float
    """Training images per second of training time."""
    training_s: float
    """Training seconds since the start of the run."""
    validation_accuracy: float | None = None
    """Share of the held-back images right after the epoch, 0..1; None where none are held back."""

    @property
    def unseen_accuracy(self) -> float | None:
        """On images that were not trained on: those held back, where there are any, else the test
        images."""
        held_back = self.validation_accuracy
        return self.test_accuracy if held_back is None else held_back

    @property
    def unseen_images(self) -> str:
        """Which images that are, in two words at most."""
        return "test" if self.validation_accuracy is None else "held back"


class StopReason(StrEnum):
    """Why a run ended."""

    FINISHED = "finished"
    OUT_OF_TIME = "out of time"
    DIVERGED = "diverged"
    AT_CHANCE = "at chance"
    INTERRUPTED = "interrupted"
    OUT_OF_MEMORY = "out of memory"


class Looks(Record):
    """Accuracies, 0..1, on the image sets that tell weights which have seen the test images."""

    test: float
    """All test images that were shown."""
    test_sample: float
    """A sample of them."""
    test_mirrored: float | None = None
    """The same sample, mirrored left to right; None where that makes other images of them."""
    train_sample: float
    """A sample of the training images."""
    train_mirrored: float | None = None
    """The same sample, mirrored left to right; None where nothing asked for it."""
    suspicions: tuple[str, ...] = ()
    """What no honest network shows, with its numbers."""


class SeedAccuracy(Record):
    """One of several trainings that decide together."""

    seed: int | None
    accuracy: float


class Details(Sparse):
    """What a measurement tells beside its numbers, for a person."""

    times: Spent = Spent()
    classes: tuple[str, ...] = ()
    """Names of the classes, in the order of their labels."""
    confusion: tuple[tuple[int, ...], ...] = ()
    """Images by true class and answer."""
    no_answer: int = 0
    """Images for which the network gave no number."""
    notes: tuple[str, ...] = ()
    """What a reader should know of the measurement."""
    pictures: tuple[str, ...] = ()
    """Names of the pictures beside it."""

    runtime: str | None = None
    """What computed the answers."""
    batch: int | None = None
    """Images in one call."""
    images_per_s: float | None = None
    multiplications_per_image: int | None = None
    looks: Looks | None = None
    """None where not all further images were shown."""
    difference_to_students_network: float | None = None
    """Of the rebuilt network's answers on random images, from the student's own network's."""

    summary: str = ""
    """A training in a line."""
    stopped: StopReason | None = None
    """Why a training ended."""
    advice: str = ""
    """What to change, where it ended early."""
    epochs: tuple[Epoch, ...] = ()
    """Of a training."""
    resumed_at: int | None = None
    """The epoch after which a training was taken up; None for one in a single sitting."""
    seed: int | None = None
    recipe_sha256: str | None = None
    """Hash of the recipe's values."""
    reference_images_per_s: float | None = None
    """Speed of the reference network on the device, where a budget is in its epochs."""
    others_share: float | None = None
    """Share of the processor that other programs took; None where not known."""

    seeds: tuple[SeedAccuracy, ...] = ()
    """Several trainings that decide together; this is the best of them."""
    decided_by: Literal["mean", "best"] | None = None
    """How they decide."""


class Measurement(Record):
    """What was measured of a network's accuracy. What it is worth is not said here: threshold,
    budget and points are the assignment's, and scoring's to apply."""

    mode: Literal["weights", "retrain"]
    images: int = Field(gt=0)
    """Images that were shown."""
    of_images: int = Field(gt=0)
    """Images of the test set; fewer were shown where the network was too slow for all."""
    correct: int = Field(ge=0)
    wall_time_s: float
    """Of the computation alone, by our clock."""
    charged_s: float | None = None
    """What of it is held against a budget, where other programs took a part; None for all."""
    allowed_s: float | None = None
    """Retraining: seconds of training after which our clock ended it."""
    device: str
    dataset: Dataset
    details: Details = Details()

    @model_validator(mode="after")
    def _counts_fit_together(self) -> Self:
        if not self.correct <= self.images <= self.of_images:
            raise ValueError("expected correct <= images <= of_images")
        return self

    @property
    def accuracy(self) -> float:
        """Share of the images shown that are right."""
        return self.correct / self.images

    @property
    def against_budget_s(self) -> float:
        """Seconds that a time budget is compared with."""
        return self.wall_time_s if self.charged_s is None else self.charged_s


class MeasuredAccuracy(Record):
    """What came of measuring: one measurement, further ones with other seeds, or why none."""

    runs: tuple[Measurement, ...] = ()
    note: str | None = None
    """Why nothing was measured; a sentence."""
    cause: Cause | None = None
    """Whose doing it is that nothing was measured; None for nobody's."""
    review: str | None = None
    """Why a person should look."""
    too_slow_for_s: float | None = None
    """The time budget that the network was too slow for, where it was shown no image for that."""


EXCHANGE = "evaluation"
"""Folder of the run directory that is shared with the child that evaluates."""
RETRAINING = "retraining"
"""Folder of the run directory with what a retraining leaves, by its seed."""


def folder_of_seed(seed: int | None) -> str:
    """Below `RETRAINING`, of one training."""
    return f"seed-{seed}"


class Evaluation(Record):
    """A measured accuracy, judged by an assignment's rule."""

    mode: Literal["weights", "retrain"]
    accuracy: float = Field(ge=0, le=1)
    interval_95: tuple[float, float]
    """Wilson score interval."""
    images: int = Field(gt=0)
    correct: int = Field(ge=0)
    threshold: float
    met: bool
    """accuracy strictly above the threshold, and within the time budget."""
    wall_time_s: float
    """Of the computation alone, by our clock."""
    charged_s: float | None = None
    """What of it is held against the budget, where other programs took a part; None for all."""
    time_budget_s: float
    device: str
    dataset: Dataset
    details: Details = Details()

    @property
    def against_budget_s(self) -> float:
        """Seconds that the time budget is compared with."""
        return self.wall_time_s if self.charged_s is None else self.charged_s

    @property
    def folder(self) -> str:
        """Of the run directory, with its pictures."""
        if self.mode == "weights":
            return EXCHANGE
        return f"{RETRAINING}/{folder_of_seed(self.details.seed)}"


# --- deadline and grade -------------------------------------------------------------------


class DeadlineResult(Record):
    """The deadline applied to one submission."""

    due: AwareDatetime
    received_at: AwareDatetime | None
    received_from: ReceivedFrom | None
    weak: bool = False
    """True when the receipt time is only a file's time."""
    extension: str | None = None
    """Says so when a per-student extension moved the due date."""
    seconds_late: float
    rule: str
    """The late policy in words."""
    penalty: float
    """Points taken off, >= 0."""
    rejected: bool = False


class Provenance(Record):
    """What this grade was made with, so that it can be made again."""

    grader: str
    assignment_sha256: str
    title: str | None = None
    """The assignment's, so that a grade that is read again says of what it is."""
    tensorflow: str | None = None
    keras: str | None = None
    probe_seed_id: str | None = None
    """Names the course key without showing it."""
    backend: str | None = None
    run: str | None = None
    """Name of the run directory that it was made from."""


class GradeStatus(StrEnum):
    """What became of a submission."""

    GRADED = "graded"
    REVIEW = "review"
    REJECTED = "rejected"
    WITHHELD = "withheld"


class SubmissionRef(Record):
    """The submission as the grade names it."""

    source: str
    sha256: str | None = None
    written_sha256: str | None = None
    """Of what the student wrote, without comments: equal in two grades, it is the same work."""
    weights_sha256: str | None = None
    """Of the weights file."""
    received_at: AwareDatetime | None = None
    received_from: ReceivedFrom | None = None


class Override(Record):
    """A score that a person has set in the place of the computed one."""

    score: float
    why: str
    by: str
    """Who decided, in their own words."""
    at: AwareDatetime
    computed_status: GradeStatus
    """What the grader said, and would say again."""
    computed_score: float
    computed_message: str | None = None


class Grade(Record):
    """The verdict on one submission; grade.schema.json is this record as JSON."""

    student_id: str
    submission: SubmissionRef
    status: GradeStatus
    cause: Cause | None = None
    message: str | None = None
    """Why it was rejected, withheld or sent to review."""
    help: str | None = None
    score: float
    max_score: float
    checks: tuple[CheckResult, ...] = ()
    evaluation: Evaluation | None = None
    evaluation_note: str | None = None
    """Why no evaluation was made; None where one was."""
    deadline: DeadlineResult | None = None
    isolation: Isolation | None = None
    remarks: tuple[str, ...] = ()
    """What intake noticed."""
    provenance: Provenance
    counts: bool = True
    """Whether it is the one grade of its student that counts; not part of what is recorded."""
    superseded_by: str | None = None
    """SHA-256 of the submission that counts in its place (its path, where it could not be read)."""
    override: Override | None = None
    """What a person decided; a record of its own."""


STANDING = {"counts", "superseded_by", "override"}
"""What is not known when a grade is made: it follows from all grades and decisions together."""
