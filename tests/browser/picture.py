"""The picture of a student's page in docs/: a graded submission, its page, a screenshot of it.

    python -m tests.browser.picture      writes docs/report.png anew (needs a Chromium)

The submission forgets the block's input in every layer but the first. Its graphs are written by
hand and its accuracy is made up, so no student code runs; all else is what `grade` does.
"""

from __future__ import annotations

import hashlib
import json
import struct
import subprocess
import tempfile
import zlib
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from grader.cli import run
from grader.domain import Dataset, MeasuredAccuracy, Measurement
from grader.report.html.pages import text_of
from grader.resources import assignment_dir
from tests.browser.chromium import program
from tests.graph import writing
from tests.pipeline.test_pipeline import Replay, replayed, submission_zip
from tests.report.reading import Page

PICTURE = Path(__file__).parents[2] / "docs" / "report.png"
SIZE = (1100, 1330)
RECEIVED = "2027-09-30T21:10:00+05:30"
LABEL = b"shows sha256"
"""Of the text chunk that says which page the picture shows."""
right = writing.dense


def without_the_input(num_layers, growth_rate, bottleneck):
    """A dense block whose second and later layers do not receive the block's input."""
    block = right(num_layers, growth_rate, bottleneck)
    layers = tuple(
        layer if number == 0 else replace(layer, links=layer.links[1:])
        for number, layer in enumerate(block.layers)
    )
    return replace(block, layers=layers)


def answered(stage):
    """What the submission's functions give."""
    with patch.object(writing, "dense", without_the_input):
        result = replayed(stage)
        plan = writing.dense_net(3, 12, 0.5, True, 10)
        model = writing.network_record(writing.Style(), plan, 32, ("inference", "training"))
    frames = {**result.json_frames, "model": json.dumps(model).encode()}
    return replace(result, json_frames=frames)


def measured(*_, **__):
    """An accuracy above the threshold."""
    data = Dataset(name="cifar10", sha256="0" * 64, official=True)
    one = Measurement(
        mode="weights",
        images=10_000,
        of_images=10_000,
        correct=8_891,
        wall_time_s=7.1,
        device="CPU, 2 cores",
        dataset=data,
    )
    return MeasuredAccuracy(runs=(one,))


def page(folder: Path) -> str:
    """The page that `grade` and `grade export --to html` write of the submission."""
    submission = submission_zip(folder / "in" / "chen.li.zip", "chen")
    results, pages = folder / "results", folder / "pages"
    sandbox = Replay({"chen": answered})
    given = ["--assignment", str(assignment_dir())]
    with (
        patch("grader.sandbox.open_sandbox", lambda *a, **k: sandbox),
        patch("grader.engine.accuracy.measure", measured),
    ):
        words = ["--submitted-at", RECEIVED, "--results", str(results), "--device", "cpu"]
        assert run([str(submission), *given, *words, "--quiet"]) == 0
        words = ["--to", "html", "--output", str(pages)]
        assert run(["export", str(results), *given, *words]) == 0
    return (pages / "students" / "chen.li.html").read_text("utf-8")


def digest(html: str) -> str:
    """Names what the picture shows: the page's words down to the table of checks, and its style."""
    words = Page(html).text.partition("All checks")[0]
    return hashlib.sha256(f"{words}\0{text_of('page.css')}".encode()).hexdigest()


def shown_in(png: bytes) -> str:
    """The page that a picture says it shows."""
    for kind, content in chunks(png):
        if kind == b"tEXt" and content.startswith(LABEL + b"\0"):
            return content[len(LABEL) + 1 :].decode()
    return ""


def chunks(png: bytes):
    """The parts of a PNG file: kind and content."""
    at = 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += 12 + length


def labelled(png: bytes, html: str) -> bytes:
    """The picture with the name of its page behind its header."""
    parts = list(chunks(png))
    parts.insert(1, (b"tEXt", LABEL + b"\0" + digest(html).encode()))
    return png[:8] + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )


def screenshot(html: str, folder: Path) -> bytes:
    """The page as Chromium shows it."""
    browser = program()
    assert browser, "no Chromium on this machine"
    file, picture = folder / "page.html", folder / "page.png"
    file.write_text(html, "utf-8")
    words = [
        browser,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--user-data-dir={folder / 'profile'}",
        f"--window-size={SIZE[0]},{SIZE[1]}",
        f"--screenshot={picture}",
        file.as_uri(),
    ]
    subprocess.run(words, check=True, stderr=subprocess.DEVNULL, timeout=120)
    return picture.read_bytes()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        shown = page(Path(name))
        PICTURE.write_bytes(labelled(screenshot(shown, Path(name)), shown))
    print(PICTURE)
