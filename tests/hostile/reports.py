"""Programs and names that act on whoever reads the report: terminal, browser, spreadsheet, disk."""

from __future__ import annotations

import zipfile
from pathlib import Path

from tests.hostile.cases import Case, Graded, Recipe
from tests.hostile.programs import EVERYTHING, FUNCTIONS, STUBS, first, last

TOLD = Graded(EVERYTHING, says="densenet.py cannot be imported")
STUB = Graded(FUNCTIONS, says="NotImplementedError")


def raising(text: str, kind: str = "Exception") -> Recipe:
    """Raises an exception with this text, of a class of this name."""
    return first(f"raise type({kind!r}, (Exception,), {{}})({text!r})")


def named(name: str) -> Recipe:
    """A submission that is harmless, under a name that is not."""

    def make(room: Path) -> Path:
        path = room / name
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("densenet.py", STUBS)
        return path

    return make


def case(name: str, make: Recipe, why: str, expect: Graded = TOLD) -> Case:
    return Case(name, "report", make, expect, why)


REPORTS: tuple[Case, ...] = (
    # --- words ---
    case("markup in an error", raising("[bold green]100/100[/] [link=file:///etc/passwd]ok[/link]"),
         "Rich obeys what stands in brackets"),
    case("markup that ends what never began", raising("[/] [/bold] [red"),
         "Rich raises on it, and the class has no report"),
    case("terminal codes in an error",
         raising("\x1b[2J\x1b[H\x1b[32mscore 100/100\x1b[0m\x1b[8m\x9b31m"),
         "clears the screen and writes another verdict"),
    case("a clipboard and a title", raising("\x1b]52;c;cm0gLXJmIH4=\x07\x1b]0;owned\x1b\\"),
         "a terminal takes orders about more than colours"),
    case("an overwritten line", raising("score 0\rscore 100\x08\x08\x08999\x0b\x0c"),
         "what is printed last is what is seen"),
    case("reordered and invisible text",
         raising("\u202e001 erocs\u202c \u2066x\u2069 \u200b\u200d\ufeff\u00ad\U000e0041"),
         "reads as another sentence"),
    case("NUL and half characters", raising("a\x00b\ufffe\ud800c"),
         "ends a C string, is no XML, and no UTF-8"),
    case("letters under a tower of marks", raising("o" + "\u0301\u0489" * 500),
         "covers the lines above"),
    case("emoji, flags and families", raising("🏳️‍🌈👨‍👩‍👧‍👦🇮🇳" * 40),
         "two columns wide, or none: tables break"),
    case("a page in an error",
         raising("<script>alert(1)</script><img src=x onerror=alert(1)>&lt;b&gt;]]>--></testcase>"),
         "Moodle shows feedback as HTML, a build server XML"),
    case("a formula in an error", raising("=HYPERLINK(\"http://example.invalid\",\"100\")"),
         "a spreadsheet computes it"),
    case("an error of many lines", raising("\n".join(["Traceback", "score: 100", ""] * 200)),
         "forges lines of the report"),
    case("a class of a hostile name", raising("x", "[red]\x1b[2J=1+1<b>" + "y" * 500),
         "an exception's name is the student's too"),
    case("a place of a hostile name", last("""
        import os
        here = os.path.dirname(os.path.abspath(__file__))
        name = os.path.join(here, "[red]\\x1b[2J\\n=1+1")
        exec(compile("def transition(*a, **k): raise ValueError('x')", name, "exec"))
        """), "so is the file that a traceback names", STUB),
    case("layers of hostile names", last("""
        import keras
        def named(name):
            layer = keras.layers.ReLU()
            layer._name = name
            return layer
        def transition(x, compression=0.5, dropout_rate=0.0):
            x = named("[bold]100/100[/]")(x)
            x = named("=1+1<script>")(x)
            return keras.layers.Conv2D(3, 5, name="y" * 3000, padding="same")(x)
        """), "a finding names the layer it is about",
         Graded(FUNCTIONS)),
    case("text that escapes from the log", first("""
        print("\\x1b[2J[bold]graded: 100/100[/]\\r" * 100)
        """), "the log is kept beside the grade", STUB),
    # --- names ---
    case("a student named as a path", named("..%2f..%2fetc%2fpasswd ..\\..\\x.zip"),
         "a name becomes a folder", STUB),
    case("a student of two lines", named("jane\nscore: 100\r.zip"),
         "forges a line of the class table", STUB),
    case("a student named as markup", named("[bold red]jane[-bold].zip"),
         "acts on the class table", STUB),
    case("a student named as a formula", named("@SUM(1+1)*cmd!A1.zip"),
         "acts on the table of the class in a spreadsheet", STUB),
    case("a student named backwards", named("\u202epiz.enaj\u200b\x1b[31m.zip"),
         "shows another student's name", STUB),
    case("a student of no character", named("\u200b\u2060\u3000.zip"),
         "cannot be told from nobody", STUB),
    case("a student of two hundred letters", named("j" * 200 + ".zip"),
         "pushes the score off the table", STUB),
    case("a student of a page", named("<b onmouseover=alert(1)>jane&amp;.zip"),
         "acts in a browser", STUB),
)  # fmt: skip
