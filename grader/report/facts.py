"""What a grade rests on: the measured accuracy, the deadline, how it was graded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from grader.assignment import Assignment
from grader.domain import DeadlineResult, Evaluation, Grade
from grader.report.measured import measured_rows
from grader.report.text import safe_line, safe_text
from grader.report.words import duration, minus, percent
from grader.scoring import open_points
from grader.scoring.rule import is_in_time

SHOWN_WAITING = 0.25
"""Of the time charged, spent waiting for other programs, from which on it is said."""
REMARKS_SHOWN = 8
"""Remarks of the intake shown."""

FROM_WORDS = {
    "argument": "given on the command line",
    "lms": "from the course platform",
    "nbgrader": "from nbgrader",
    "receipt": "from the receipt",
    "file-time": "from the file's time: weak, copying changes it",
}


def accuracy(grade: Grade, ascii_only: bool) -> RenderableType:
    """The measured accuracy with all that it was judged by, or why there is none."""
    if grade.evaluation is None:
        return _accuracy_missing(grade)
    measured = grade.evaluation
    low, high = measured.interval_95
    rows = _facts()
    verdict = Text(f"{measured.accuracy:.2%}", f"bold {'green' if measured.met else 'red'}")
    verdict.append(f"  {'met' if measured.met else 'not met'}: ", "bold")
    verdict.append(f"must be above {percent(measured.threshold)}")
    rows.add_row("accuracy", verdict)
    rows.add_row("", _Scale(measured, ascii_only))
    interval = Text(f"{low:.2%} to {high:.2%}, from {measured.correct:,} of {measured.images:,}")
    if low <= measured.threshold <= high:
        interval.append("; holds the threshold: chance plays a part", "yellow")
    rows.add_row("95% interval", interval)
    charged, budget = measured.against_budget_s, measured.time_budget_s
    spent = Text(f"{measured.wall_time_s:.1f} s of {measured.time_budget_s:g} s, on ")
    spent.append_text(safe_text(measured.device, 60))
    if measured.wall_time_s - charged > SHOWN_WAITING * charged:
        spent.append(f"; {charged:.1f} s charged, other programs took the rest")
    if not is_in_time(charged, budget, measured.mode):
        spent.append(f"; {charged - budget:.1f} s over budget, does not count", "red")
    rows.add_row("time", spent)
    rows.add_row("images", dataset(measured))
    for label, text in measured_rows(measured):
        rows.add_row(label, text)
    return Padding(rows, (0, 0, 0, 1))


def dataset(measured: Evaluation) -> Text:
    """Which images, and whether they are the official ones."""
    data = measured.dataset
    text = safe_text(data.name, 40).append(f"  sha256 {data.sha256[:12]}", "dim")
    if data.official:
        return text.append("  the official ones")
    return text.append("  not the official ones: the accuracy is close, not the same", "yellow")


@dataclass(frozen=True)
class _Scale:
    """Accuracy on a line from 0 to 100%, with the threshold marked."""

    measured: Evaluation
    ascii_only: bool

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(10, min(options.max_width, 60))
        reached = round(width * self.measured.accuracy)
        mark = min(width - 1, int(width * self.measured.threshold))
        full, empty, tick = ("=", ".", "|") if self.ascii_only else ("━", "─", "┃")
        style = "green" if self.measured.met else "red"
        scale = Text()
        for column in range(width):
            if column == mark:
                scale.append(tick, "bold")
            else:
                within = column < reached
                scale.append(full if within else empty, style if within else "dim")
        yield scale


def _accuracy_missing(grade: Grade) -> RenderableType:
    note = grade.evaluation_note or "no evaluation was made"
    text = Text.assemble(("not evaluated: ", "bold yellow"), safe_text(note.removesuffix("."), 300))
    still_open = open_points(grade)
    if still_open:
        text.append(f"; {still_open:g} points stay open", "yellow")
    return Padding(text, (0, 0, 0, 1))


def deadline(result: DeadlineResult, zone: tzinfo | None) -> RenderableType:
    """When it was due, when it was received, and what follows from it."""
    rows = _facts()
    local = zone or result.due.tzinfo
    if result.received_at is None:
        rows.add_row("received", Text("not known", "yellow"))
    else:
        received = moment(result.received_at, local)
        rows.add_row("received", received)
        source = FROM_WORDS.get(result.received_from or "", "")
        rows.add_row("", Text(source, "yellow" if result.weak else "dim"))
    rows.add_row("due", moment(result.due, local))
    if result.extension:
        rows.add_row("", safe_text(result.extension, 120, "cyan"))
    if result.received_at is not None:
        rows.add_row("difference", difference(result, result.received_at))
    rows.add_row("rule", safe_text(result.rule, 300))
    rows.add_row("effect", effect(result))
    return Padding(rows, (0, 0, 0, 1))


def moment(instant: datetime, zone: tzinfo | None) -> Text:
    """An instant in the assignment's zone and in UTC."""
    local = instant.astimezone(zone)
    offset = local.strftime("%z")
    text = Text(f"{local:%Y-%m-%d %H:%M:%S} {offset[:3]}:{offset[3:5]}")
    return text.append(f"  =  {instant.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC", "dim")


def difference(result: DeadlineResult, received_at: datetime) -> Text:
    """How long before or after the due time."""
    if result.seconds_late > 0:
        return Text(f"{duration(result.seconds_late)} late", "bold yellow")
    early = (result.due.astimezone(UTC) - received_at.astimezone(UTC)).total_seconds()
    if early < 1:
        return Text("in the due second itself: in time")
    return Text(f"{duration(early)} before: in time")


def effect(result: DeadlineResult) -> Text:
    """What the deadline takes off."""
    if result.rejected:
        return Text("not graded", "bold red")
    if result.penalty:
        return Text(f"{minus(result.penalty)} points", "bold yellow")
    return Text("none")


def foundations(grade: Grade, assignment: Assignment | None) -> RenderableType:
    """Isolation, software, assignment and submission: what is needed to grade it again."""
    rows = _facts()
    rows.add_row("isolation", isolation(grade))
    made = grade.provenance
    versions = [f"grader {safe_line(made.grader, 30)}"]
    versions += [f"TensorFlow {safe_line(made.tensorflow, 20)}"] if made.tensorflow else []
    versions += [f"Keras {safe_line(made.keras, 20)}"] if made.keras else []
    versions += [f"backend {safe_line(made.backend, 20)}"] if made.backend else []
    rows.add_row("software", Text(", ".join(versions)))
    sha256 = Text(made.assignment_sha256[:12])
    if assignment is not None and assignment.sha256 != made.assignment_sha256:
        sha256.append("  the assignment's file has changed since", "yellow")
    rows.add_row("assignment", sha256)
    if grade.submission.sha256:
        rows.add_row("submission", Text(grade.submission.sha256[:12]))
    if made.run:
        rows.add_row("run", safe_text(f"runs/{made.run}", 60))
        if grade.evaluation is not None and grade.evaluation.details.pictures:
            names = ", ".join(grade.evaluation.details.pictures)
            rows.add_row(
                "pictures", safe_text(f"runs/{made.run}/{grade.evaluation.folder}: {names}", 200)
            )
    if made.probe_seed_id:
        rows.add_row("probes", Text("drawn with course key ") + safe_text(made.probe_seed_id, 40))
    for number, remark in enumerate(grade.remarks[:REMARKS_SHOWN]):
        rows.add_row("" if number else "intake", safe_text(remark, 160))
    if len(grade.remarks) > REMARKS_SHOWN:
        rows.add_row("", Text(f"+ {len(grade.remarks) - REMARKS_SHOWN} more remarks", "dim"))
    return Padding(rows, (0, 0, 0, 1))


def isolation(grade: Grade) -> Text:
    """What student code ran in."""
    if grade.isolation is None:
        return Text("student code did not run")
    if grade.isolation == "none":
        return Text("none", "bold red").append(
            ": student code ran without a sandbox and could have done anything here", "red"
        )
    words = {"docker": "in a container", "jail": "in the Linux jail"}[grade.isolation]
    return Text(grade.isolation, "green").append(f": student code ran {words}", "default")


def _facts() -> Table:
    """A two-column grid: what, value."""
    rows = Table.grid(padding=(0, 1))
    rows.add_column(no_wrap=True, min_width=12, style="dim")
    rows.add_column(overflow="fold")
    return rows
