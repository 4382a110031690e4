"""Draws the figures of the sheets, each into figures/ of its unit.

    python assignment/units/make_figures.py

A test holds that they are current. matplotlib names its version in each; another one may draw a
line otherwise.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
INK, SOFT, BLUE, ORANGE, GREEN = "#1f2430", "#8a90a0", "#2f6fb3", "#d9822b", "#3f8f5b"
PALE_BLUE, PALE_ORANGE, PAPER = "#dbe8f6", "#fbe6cf", "#ffffff"

IMAGE = ((1, 2, 0, 1, 3), (0, 1, 2, 1, 0), (2, 0, 1, 0, 1), (1, 1, 0, 2, 1), (0, 2, 1, 1, 0))
KERNEL = ((1, 0, -1), (1, 0, -1), (1, 0, -1))
POOLED = ((1, 3, 2, 0), (5, 6, 1, 2), (7, 2, 0, 4), (1, 2, 3, 1))


# --- parts of pictures --------------------------------------------------------------------------


def cell(axes: Any, x: float, y: float, words: object = "", **style: Any) -> None:
    """One square of a grid, its lower left corner at (x, y)."""
    from matplotlib.patches import Rectangle

    look = {"facecolor": PAPER, "edgecolor": INK, "linewidth": 1.0, **style}
    axes.add_patch(Rectangle((x, y), 1, 1, **look))
    axes.text(x + 0.5, y + 0.5, str(words), ha="center", va="center", color=INK, fontsize=11)


def grid(axes: Any, rows: Any, x: float, y: float, fills: Any = None) -> None:
    """Rows of numbers from the top down; (x, y) is the lower left corner of the whole."""
    for i, row in enumerate(rows):
        for j, words in enumerate(row):
            fill = (fills or {}).get((i, j), PAPER)
            cell(axes, x + j, y + len(rows) - 1 - i, words, facecolor=fill)


def frame(axes: Any, x: float, y: float, width: float, height: float, colour: str) -> None:
    """A thick frame, no fill."""
    from matplotlib.patches import Rectangle

    axes.add_patch(
        Rectangle((x, y), width, height, facecolor="none", edgecolor=colour, linewidth=2.6)
    )


def arrow(axes: Any, start: Any, end: Any, colour: str = INK, **style: Any) -> None:
    """An arrow from one point to another."""
    look = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.4, **style}
    axes.annotate("", xy=end, xytext=start, arrowprops=look)


def box(axes: Any, x: float, y: float, words: str, colour: str = PALE_BLUE) -> None:
    """A layer: a box with its name, its centre at (x, y)."""
    axes.text(
        x, y, words, ha="center", va="center", fontsize=10, color=INK,
        bbox={"boxstyle": "round,pad=0.45", "facecolor": colour, "edgecolor": INK},
    )  # fmt: skip


def words(axes: Any, x: float, y: float, text: str, colour: str = INK, size: int = 11) -> None:
    """A text around (x, y)."""
    axes.text(x, y, text, ha="center", va="center", fontsize=size, color=colour)


def sheet(width: float, height: float, count: int = 1) -> tuple[Any, Any]:
    """A figure with empty axes, one unit alike in both directions."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, count, squeeze=False)[0]
    for one in axes:
        one.set_aspect("equal")
        one.axis("off")
    return figure, axes if count > 1 else axes[0]


def shows(axes: Any, x: tuple[float, float], y: tuple[float, float]) -> None:
    """What part of the plane is seen."""
    axes.set_xlim(*x)
    axes.set_ylim(*y)


# --- the figures --------------------------------------------------------------------------------


def image_axes() -> Any:
    """An image as an array: rows down, columns to the right, a box by two corners."""
    figure, axes = sheet(6.2, 3.6)
    grid(axes, [[""] * 10 for _ in range(6)], 0, 0)
    for column in range(10):
        words(axes, column + 0.5, 6.35, str(column), SOFT, 9)
    for row in range(6):
        words(axes, -0.35, 5.5 - row, str(row), SOFT, 9)
    frame(axes, 2, 1, 5, 3, GREEN)
    cell(axes, 2, 3, "A", facecolor=PALE_ORANGE)
    cell(axes, 6, 1, "B", facecolor=PALE_ORANGE)
    arrow(axes, (0, 7.0), (3, 7.0), BLUE)
    words(axes, 3.4, 7.0, "x", BLUE)
    arrow(axes, (-1.0, 6), (-1.0, 3), BLUE)
    words(axes, -1.0, 2.6, "y", BLUE)
    told = ("image[y, x]", "shape (6, 10, 3):", "height, width, channels", "",
            "A = (x 2, y 2), top left", "B = (x 6, y 4), bottom right")  # fmt: skip
    for number, line in enumerate(told):
        axes.text(10.8, 5.3 - 0.85 * number, line, ha="left", va="center", fontsize=10, color=INK)
    shows(axes, (-1.5, 17.6), (-0.3, 7.5))
    return figure


def convolution() -> Any:
    """A 3×3 filter on one place of an image, and the number that it gives."""
    figure, axes = sheet(7.4, 3.0)
    seen = {(i, j): PALE_BLUE for i in range(3) for j in range(1, 4)}
    grid(axes, IMAGE, 0, 0, seen)
    frame(axes, 1, 2, 3, 3, BLUE)
    grid(axes, KERNEL, 7, 1)
    frame(axes, 7, 1, 3, 3, ORANGE)
    grid(axes, _convolved(), 12.5, 1, {(0, 1): PALE_ORANGE})
    words(axes, 6, 2.5, "∗", INK, 18)
    words(axes, 11.25, 2.5, "=", INK, 18)
    for x, text in ((2.5, "image 5×5"), (8.5, "filter 3×3"), (14, "feature map 3×3")):
        words(axes, x, 5.6, text)
    left, right = ("2+1+0", "1+1+0")
    words(axes, 8.4, -0.7, f"at the blue frame: ({left}) · 1 + (0+2+1) · 0 + ({right}) · (−1) = 1")
    shows(axes, (-0.2, 15.7), (-1.2, 6.1))
    return figure


def _convolved() -> list[list[int]]:
    """What KERNEL gives on IMAGE."""
    return [
        [sum(IMAGE[i + a][j + b] * KERNEL[a][b] for a in range(3) for b in range(3))
         for j in range(3)]
        for i in range(3)
    ]  # fmt: skip


def stride_padding() -> Any:
    """Where a 3×3 filter stands with stride 1, with stride 2, and with padding."""
    figure, panels = sheet(8.6, 3.3, 3)
    given = ((5, 0, 1, "no padding, stride 1"), (5, 0, 2, "no padding, stride 2"),
             (5, 1, 2, "padding 1, stride 2"))  # fmt: skip
    for axes, (size, padding, stride, told) in zip(panels, given, strict=True):
        whole = size + 2 * padding
        grid(axes, [[""] * whole for _ in range(whole)], -padding, -padding,
             _padded(size, padding))  # fmt: skip
        places = (whole - 3) // stride + 1
        for number in range(places):
            x = stride * number - padding
            frame(axes, x + 0.06 * number, size + padding - 3 - 0.06 * number, 3, 3,
                  (BLUE, ORANGE, GREEN)[number])  # fmt: skip
        words(axes, size / 2, size + 1.75, told)
        sum_ = f"⌊(5 + 2·{padding} − 3) / {stride}⌋ + 1 = {places}"
        words(axes, size / 2, -1.8, sum_, INK, 10)
        shows(axes, (-1.6, size + 1.6), (-2.4, size + 2.3))
    return figure


def _padded(size: int, padding: int) -> dict[tuple[int, int], str]:
    """The cells of a padding, counted from the top left of the whole."""
    whole = size + 2 * padding
    inner = range(padding, padding + size)
    return {
        (i, j): "#ececf0"
        for i in range(whole)
        for j in range(whole)
        if i not in inner or j not in inner
    }


def pooling() -> Any:
    """Max and average pooling, 2×2 with stride 2."""
    figure, axes = sheet(7.0, 2.7)
    tints = (PALE_BLUE, PALE_ORANGE, "#dcefe2", "#f0e0f0")
    fills = {(i, j): tints[2 * (i // 2) + j // 2] for i in range(4) for j in range(4)}
    grid(axes, POOLED, 0, 0, fills)
    blocks = [
        [[POOLED[2 * i + a][2 * j + b] for a in (0, 1) for b in (0, 1)] for j in (0, 1)]
        for i in (0, 1)
    ]
    small = {(i, j): tints[2 * i + j] for i in (0, 1) for j in (0, 1)}
    grid(axes, [[max(block) for block in row] for row in blocks], 7, 1, small)
    grid(axes, [[f"{sum(b) / 4:g}" for b in row] for row in blocks], 11.5, 1, small)
    arrow(axes, (4.4, 2), (6.6, 2))
    for x, text in ((2, "4×4"), (8, "largest of four"), (12.5, "mean of four")):
        words(axes, x, 4.6, text)
    shows(axes, (-0.2, 14.4), (-0.2, 5.1))
    return figure


def overlapping_pooling() -> Any:
    """Windows of AlexNet's pooling, 3 wide every 2, beside 2 wide every 2."""
    figure, axes = sheet(6.4, 2.5)
    for y, size, told in ((3.2, 2, "2 wide, stride 2: apart"), (0, 3, "3 wide, stride 2: overlap")):
        grid(axes, [[""] * 7], 0, y)
        for number in range(3):
            lift = 0.12 * (number % 2)
            frame(axes, 2 * number + 0.05, y - lift, size - 0.1, 1 + 2 * lift,
                  (BLUE, ORANGE, GREEN)[number])  # fmt: skip
        axes.text(7.5, y + 0.5, told, ha="left", va="center", fontsize=11, color=INK)
    shows(axes, (-0.3, 13.6), (-0.5, 4.7))
    return figure


def saturation() -> Any:
    """Sigmoid, tanh and ReLU, and their slopes."""
    import numpy as np
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 2.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    x = np.linspace(-6, 6, 241)
    sigmoid = 1 / (1 + np.exp(-x))
    curves = (
        ("sigmoid", BLUE, sigmoid, sigmoid * (1 - sigmoid)),
        ("tanh", GREEN, np.tanh(x), 1 - np.tanh(x) ** 2),
        ("ReLU", ORANGE, np.maximum(x, 0), np.where(x > 0, 1.0, 0.0)),
    )
    for name, colour, value, slope in curves:
        left.plot(x, value, color=colour, label=name)
        right.plot(x, slope, color=colour, label=name)
    left.set_ylim(-1.2, 3)
    left.set_title("f(x)", fontsize=11)
    right.set_title("slope f′(x): near 0 where a unit is saturated", fontsize=11)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.set_xlabel("x")
    left.legend(frameon=False)
    return figure


def residual_block() -> Any:
    """An identity block and a projection block."""
    figure, panels = sheet(7.4, 4.6, 2)
    for axes, told, projects in zip(
        panels, ("identity block", "projection block"), (False, True), strict=True
    ):
        first = "3×3 conv, stride 2" if projects else "3×3 conv"
        layers = ("x", first, "batch norm, ReLU", "3×3 conv", "batch norm")
        for number, name in enumerate(layers):
            box(axes, 0, 8 - 1.5 * number, name, PAPER if name == "x" else PALE_BLUE)
            arrow(axes, (0, 7.5 - 1.5 * number), (0, 7.0 - 1.5 * number))
        box(axes, 0, 0.5, "+", PALE_ORANGE)
        arrow(axes, (0, 0.0), (0, -0.5))
        box(axes, 0, -1.0, "ReLU")
        axes.plot([0.4, 3.6, 3.6, 0.5], [8, 8, 0.5, 0.5], color=ORANGE, linewidth=1.6, zorder=0)
        arrow(axes, (1.2, 0.5), (0.42, 0.5), ORANGE)
        if projects:
            box(axes, 3.6, 4.9, "1×1 conv,\nstride 2", PALE_ORANGE)
            box(axes, 3.6, 2.9, "batch norm", PALE_ORANGE)
        else:
            words(axes, 4.0, 4.2, "x", ORANGE, 12)
        words(axes, -2.5, 4.2, "R(x)", BLUE, 12)
        words(axes, 1.6, -1.0, "H(x)", INK, 12)
        words(axes, 0.8, 9.3, told, INK, 12)
        shows(axes, (-3.4, 5.4), (-1.7, 9.8))
    return figure


def receptive_field() -> Any:
    """What one number of a third 3×3 layer sees of the input: 7×7."""
    figure, axes = sheet(8.4, 3.2)
    places, names = (0.0, 9.4, 17.0, 22.6), ("input", "layer 1", "layer 2", "layer 3")
    for number, (x, told) in enumerate(zip(places, names, strict=True)):
        size = 7 - 2 * number
        y = (7 - size) / 2
        tint = (PALE_BLUE, PALE_BLUE, PALE_BLUE, PALE_ORANGE)[number]
        fills = {(i, j): tint for i in range(size) for j in range(size)}
        grid(axes, [[""] * size for _ in range(size)], x, y, fills)
        if size > 1:
            frame(axes, x, y + size - 3, 3, 3, ORANGE)
            after = places[number + 1]
            arrow(axes, (x + size + 0.3, 3.5), (after - 0.3, 3.5))
            words(axes, (x + size + after) / 2, 4.3, "3×3", ORANGE, 10)
        words(axes, x + size / 2, 7.7, f"{told}: {size}×{size}")
    words(axes, 12, -1.0, "three 3×3 filters: 3 · 9 = 27 weights, one 7×7 filter: 49, "
          "for each pair of channels")  # fmt: skip
    shows(axes, (-0.5, 25.6), (-1.7, 8.3))
    return figure


FIGURES: dict[str, Callable[[], Any]] = {
    "01-opencv/figures/image-axes.svg": image_axes,
    "02-convnets/figures/convolution.svg": convolution,
    "02-convnets/figures/stride-padding.svg": stride_padding,
    "02-convnets/figures/pooling.svg": pooling,
    "04-alexnet/figures/saturation.svg": saturation,
    "04-alexnet/figures/overlapping-pooling.svg": overlapping_pooling,
    "05-residual/figures/residual-block.svg": residual_block,
    "06-vgg-resnet/figures/receptive-field.svg": receptive_field,
}


def drawn(draw: Callable[[], Any]) -> str:
    """The text of a figure, alike on each run."""
    import matplotlib

    stream = io.StringIO()
    # Letters as letters: the picture stays small, and a reader's program can find its words.
    settings = {"svg.fonttype": "none", "svg.hashsalt": "course", "font.family": "sans-serif"}
    with matplotlib.rc_context(settings):
        draw().savefig(stream, format="svg", metadata={"Date": None})
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def write(folder: Path) -> None:
    """Draw all into the units of a folder."""
    for name, draw in FIGURES.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(drawn(draw), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
