"""Pictures beside a grade: confusion table, training curve, and the most confident mistakes.

The first two are SVG, written here as text from numbers alone; nothing a student wrote goes in.
The contact sheet is made with OpenCV, and left out where that is not installed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from grader import files
from grader.domain import Epoch

CONFUSION, CURVE, MISTAKES = "confusion.svg", "training.svg", "mistakes.png"
COLUMNS, ROWS = 6, 4
"""Of the contact sheet."""
SIDE = 128
"""The longer side of an image on the contact sheet, in pixels."""
MARGIN, CAPTION = 8, 40
FONT = "font-family='system-ui, sans-serif'"


def confusion_svg(confusion: Sequence[Sequence[int]], classes: Sequence[str]) -> str:
    """The confusion table: a row for each true class, a column for each answer."""
    size, left, top = 44, 96, 96
    side = size * len(classes)
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {left + side + 8} {top + side + 8}'"
        f" {FONT} font-size='12' role='img' aria-label='Confusion table'>",
        "<rect width='100%' height='100%' fill='white'/>"
        "<text x='8' y='20' font-size='13'>true ↓  answered →</text>",
    ]
    for i, name in enumerate(classes):
        middle = size * i + size / 2
        parts.append(
            f"<text x='{left - 8}' y='{top + middle + 4}' text-anchor='end'>{escape(name)}</text>"
            f"<text transform='translate({left + middle + 4} {top - 8}) rotate(-60)'>"
            f"{escape(name)}</text>"
        )
    for row, counts in enumerate(confusion):
        total = max(sum(counts), 1)
        for column, number in enumerate(counts):
            parts.append(
                _cell(number, number / total, row == column, left + size * column, top + size * row)
            )
    return "\n".join([*parts, "</svg>"])


def _cell(number: int, share: float, right: bool, x: int, y: int) -> str:
    """One number on a ground as dark as its share of the row; blue is right, red is wrong."""
    strength = min(1.0, share if right else 4 * share)
    colour = "30, 90, 160" if right else "180, 60, 40"
    ink = "white" if strength > 0.55 else "#222"
    text = f"<text x='{x + 22}' y='{y + 26}' text-anchor='middle' fill='{ink}'>{number}</text>"
    return (
        f"<rect x='{x}' y='{y}' width='43' height='43' fill='rgba({colour}, {strength:.2f})'/>"
        f"{text if number else ''}"
    )


def curve_svg(epochs: Sequence[Epoch]) -> str:
    """Accuracy over the epochs: in training and on test images."""
    width, height, left, bottom = 640, 320, 48, 36
    count = max(len(epochs), 2)

    def point(number: int, share: float) -> str:
        x = left + (width - left - 16) * (number - 1) / (count - 1)
        return f"{x:.1f},{(height - bottom) - (height - bottom - 16) * share:.1f}"

    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' {FONT}"
        f" font-size='12' role='img' aria-label='Training curve'>",
        "<rect width='100%' height='100%' fill='white'/>",
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        start, end = point(1, share), point(count, share)
        parts.append(
            f"<polyline points='{start} {end}' stroke='#ddd' fill='none'/>"
            f"<text x='{left - 8}' y='{float(start.split(',')[1]) + 4}' text-anchor='end'>"
            f"{share:.0%}</text>"
        )
    lines: tuple[tuple[Callable[[Epoch], float | None], str, str], ...] = (
        (lambda epoch: epoch.train_accuracy, "#1e5aa0", "4 3"),
        (lambda epoch: epoch.unseen_accuracy, "#b43c28", "none"),
    )
    for share_of, colour, dashes in lines:
        found = ((epoch.number, share_of(epoch)) for epoch in epochs)
        points = [point(number, share) for number, share in found if share is not None]
        parts.append(
            f"<polyline points='{' '.join(points)}' stroke='{colour}' stroke-width='2'"
            f" stroke-dasharray='{dashes}' fill='none'/>"
        )
    legend = f"– – training   — {epochs[-1].unseen_images if epochs else 'test'}"
    parts.append(f"<text x='{left}' y='{height - 8}'>epochs 1 to {len(epochs)}   {legend}</text>")
    return "\n".join([*parts, "</svg>"])


def most_confident_mistakes(
    predicted: NDArray[np.int64], labels: NDArray[np.int64], confidence: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Positions of wrong answers, the most confident first; at most a contact sheet full."""
    wrong = np.flatnonzero((predicted != labels) & (predicted >= 0))
    order = np.argsort(-confidence[wrong], kind="stable")
    return wrong[order][: COLUMNS * ROWS].astype(np.int64)


def contact_sheet(
    images: NDArray[np.uint8],
    truth: Sequence[str],
    answers: Sequence[str],
    confidence: Sequence[float],
) -> NDArray[np.uint8]:
    """Images with the true class, and below it the answer and its confidence.

    Args:
        images: (N, H, W, 3), RGB, or (N, H, W, 1), grey; at most a sheet full is used.
        truth: The true class of each.
        answers: What the network said.
        confidence: Its probability, 0..1.

    Returns:
        (height, width, 3), uint8, BGR as OpenCV writes it.
    """
    import cv2

    cell_width, cell_height = SIDE + MARGIN, SIDE + CAPTION + MARGIN
    count = min(len(images), COLUMNS * ROWS)
    rows = max(1, -(-count // COLUMNS))
    sheet = np.full((rows * cell_height + MARGIN, COLUMNS * cell_width + MARGIN, 3), 255, np.uint8)
    for i in range(count):
        y, x = (i // COLUMNS) * cell_height + MARGIN, (i % COLUMNS) * cell_width + MARGIN
        large = _enlarged(images[i])
        sheet[y : y + large.shape[0], x : x + large.shape[1]] = large[:, :, ::-1]
        said = f"{answers[i]} {confidence[i]:.0%}"
        for line, text, colour in ((16, truth[i], (0, 0, 0)), (32, said, (40, 60, 180))):
            place = (x, y + SIDE + line)
            cv2.putText(sheet, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, 1, cv2.LINE_AA)
    return sheet


def _enlarged(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An image with three channels and its longer side at SIDE."""
    import cv2

    colours = image[:, :, :3] if image.shape[2] >= 3 else np.repeat(image[:, :, :1], 3, axis=2)
    height, width = (max(1, round(n * SIDE / max(image.shape[:2]))) for n in image.shape[:2])
    large = cv2.resize(colours, (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(large, np.uint8)


def write_pictures(
    folder: Path,
    *,
    confusion: Sequence[Sequence[int]],
    classes: Sequence[str],
    epochs: Sequence[Epoch] = (),
    mistakes: tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]
    | None = None,
) -> tuple[str, ...]:
    """Write what can be drawn; returns the names of the files.

    Args:
        folder: The run directory.
        confusion: See `confusion_svg`.
        classes: Names of the classes.
        epochs: See `curve_svg`; none for weights that were trained elsewhere.
        mistakes: Images, true labels, answers and confidence of the test images shown.
    """
    written = [_write(folder / CONFUSION, confusion_svg(confusion, classes).encode())]
    if epochs:
        written.append(_write(folder / CURVE, curve_svg(epochs).encode()))
    if mistakes is not None:
        sheet = _mistakes_png(*mistakes, classes)
        if sheet is not None:
            written.append(_write(folder / MISTAKES, sheet))
    return tuple(written)


def _mistakes_png(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    predicted: NDArray[np.int64],
    confidence: NDArray[np.float32],
    classes: Sequence[str],
) -> bytes | None:
    """The contact sheet as PNG; None without mistakes or without OpenCV."""
    chosen = most_confident_mistakes(predicted, labels, confidence)
    if not len(chosen):
        return None
    try:
        import cv2
    except ImportError:
        return None
    sheet = contact_sheet(
        images[chosen],
        [classes[i] for i in labels[chosen]],
        [classes[i] for i in predicted[chosen]],
        [float(c) for c in confidence[chosen]],
    )
    encoded, data = cv2.imencode(".png", sheet)
    return data.tobytes() if encoded else None


def _write(path: Path, content: bytes) -> str:
    files.write_atomically(path, content)
    return path.name
