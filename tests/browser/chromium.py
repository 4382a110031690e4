"""A headless Chromium, one short process for each question."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
REQUIRED = "GRADER_REQUIRE_BROWSER"
TIMEOUT_S = 120
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
Size = tuple[int, int]
PHONE, DESKTOP = (390, 844), (1280, 900)


def program() -> str | None:
    """The browser of this machine; None where there is none."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


@dataclass(frozen=True)
class Chromium:
    """A browser with a profile of its own.

    Attributes:
        program: Its path.
        folder: Where it keeps what it keeps.
    """

    program: str
    folder: Path

    def dom(self, page: str, dark: bool = False) -> str:
        """The page as the browser has it once all scripts have run."""
        file = self.folder / "page.html"
        file.write_text(page, "utf-8")
        words = [
            self.program,
            "--headless",
            "--no-sandbox",  # these tests run as root in CI
            "--disable-gpu",
            "--disable-dev-shm-usage",
            f"--user-data-dir={self.folder / 'profile'}",
            "--window-size=1600,1200",
            "--virtual-time-budget=10000",
            *(["--blink-settings=preferredColorScheme=0"] if dark else []),
            "--dump-dom",
            file.as_uri(),
        ]
        with subprocess.Popen(
            words,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=os.environ | {"HOME": str(self.folder)},
        ) as process:
            try:
                out, _ = process.communicate(timeout=TIMEOUT_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        assert process.returncode == 0
        return out.decode("utf-8")

    def ask(self, page: str, script: str, size: Size = DESKTOP, dark: bool = False) -> Any:
        """What a script gives that runs in a copy of the page without its policy.

        Args:
            page: The page.
            script: The body of an async function; what it returns is given back.
            size: Of the frame that the page is shown in: no window is as narrow as a phone.
            dark: Whether the reader prefers dark pages.
        """
        copy, found = POLICY.subn("", page)
        assert found == 1
        run = (
            "<script>const answer = value => parent.document.body.setAttribute("
            '"data-answer", JSON.stringify(value));'
            f"(async () => {{{script}}})().then(answer, error => answer(String(error)));</script>"
        )
        inner = html.escape(copy.replace("</body>", f"{run}</body>"))
        frame = f'<iframe width="{size[0]}" height="{size[1]}" frameborder="0" srcdoc="{inner}">'
        head = (
            '<!DOCTYPE html><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
        )
        shown = self.dom(f"{head}<body>{frame}</iframe></body>", dark)
        answer = re.search(r'<body[^>]* data-answer="([^"]*)"', shown)
        assert answer, "the script did not come to its end"
        return json.loads(html.unescape(answer[1]))
