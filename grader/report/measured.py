"""What stands behind a measured accuracy, in lines for the terminal: the run, its time, its errors.

What nobody measured is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from grader.domain import Details, Epoch, Evaluation, Spent
from grader.report.text import safe_text
from grader.report.words import running_time, sparkline

SHOWN_MISTAKES = 3
SHOWN_SHARE = 0.1
"""Of the processor, taken by other programs, from which on it is said."""
_NAMES = {
    "queue_s": "queue",
    "calibration_s": "calibration",
    "data_s": "data",
    "import_s": "imports",
    "compilation_s": "compilation",
    "further_s": "other images",
    "checkpoint_s": "checkpoints",
}
"""Seconds that are nobody's but the machine's, by their field of `Spent`."""


def measured_rows(measured: Evaluation) -> Iterator[tuple[str, Text]]:
    """Label and text of each further line."""
    details = measured.details
    if details.summary:
        yield "training", safe_text(_training(details), 300)
    if details.advice:
        yield "advice", safe_text(details.advice, 300)
    for note in details.notes:
        yield "note", safe_text(note, 300, "dim")
    curve = _curve(details.epochs)
    if curve is not None:
        yield "curve", curve
    if details.seeds:
        yield "seeds", _seeds(details)
    beside = _beside(details.times, measured.mode)
    if beside:
        yield "not counted", safe_text(beside, 300, "dim")
    confusion = _table(details.confusion, details.classes)
    if confusion is not None:
        yield "mistakes", _largest(details.confusion, details.classes)
        yield "", confusion


def _training(details: Details) -> str:
    text = details.summary
    if details.resumed_at:
        text += f"; taken up after epoch {details.resumed_at}"
    share = details.others_share
    if share is not None and share >= SHOWN_SHARE:
        text += f"; other programs held {share:.0%} of the processor"
    return text


def _curve(epochs: Sequence[Epoch]) -> Text | None:
    tested = [e.unseen_accuracy for e in epochs if e.unseen_accuracy is not None]
    if len(tested) < 2:
        return None
    return Text(
        f"{epochs[-1].unseen_images} {sparkline(tested)}  {tested[0]:.1%} → {tested[-1]:.1%}"
    )


def _seeds(details: Details) -> Text:
    each = ", ".join(f"{one.accuracy:.2%} (seed {one.seed})" for one in details.seeds)
    return safe_text(f"{each}; the {details.decided_by or ''} counts", 300)


def _beside(times: Spent, mode: str) -> str:
    names = _NAMES | ({"evaluation_s": "evaluation"} if mode == "retrain" else {})
    known = times.model_dump()
    spent = {name: float(known.get(key, 0.0)) for key, name in names.items()}
    parts = [
        f"{name} {running_time(seconds)}" for name, seconds in spent.items() if seconds >= 0.05
    ]
    return ", ".join(parts)


def _largest(confusion: Sequence[Sequence[int]], classes: Sequence[str]) -> Text:
    """The commonest confusions, by name."""
    wrong = [
        (count, classes[row], classes[column])
        for row, counts in enumerate(confusion)
        for column, count in enumerate(counts)
        if row != column and count
    ]
    wrong.sort(key=lambda entry: (-entry[0], entry[1:]))
    texts = [f"{true} as {said} {count}" for count, true, said in wrong[:SHOWN_MISTAKES]]
    return safe_text(", ".join(texts) or "none", 200)


def _table(confusion: Sequence[Sequence[int]], classes: Sequence[str]) -> Text | None:
    """Rows are the true classes, columns the answers; the right ones stand out by more than hue."""
    if not confusion or len(confusion) != len(classes):
        return None
    short = [str(name)[:4] for name in classes]
    text = Text(no_wrap=True, overflow="crop")
    text.append("     " + "".join(f"{name:>5}" for name in short), "dim")
    for row, counts in enumerate(confusion):
        text.append(f"\n{short[row]:<5}", "dim")
        for column, count in enumerate(counts):
            shown = f"{count or '·':>5}"
            text.append(shown, "bold green" if row == column else "" if count else "dim")
    return text
