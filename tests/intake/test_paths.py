"""Names are made plain or refused; two that may become one are refused."""

import pytest

from grader.errors import Cause, SubmissionRejected
from grader.intake.kinds import Fate, clutter, fate, shadows
from grader.intake.paths import checked_parts, refuse_duplicates
from grader.intake.policy import DEFAULT
from grader.intake.refusal import listed, shown, size


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("densenet.py", ("densenet.py",)),
        ("./a/./densenet.py", ("a", "densenet.py")),
        ("folder/", ("folder",)),
        ("./", ()),
        ("Jane Doe /densenet.py", ("Jane Doe", "densenet.py")),
        ("densenet.py.", ("densenet.py",)),
        ("u\u0308bung.py", ("\u00fcbung.py",)),
        ("\u0915\u094d\u200d\u0937.py", ("\u0915\u094d\u200d\u0937.py",)),
        ("console.py", ("console.py",)),
        ("a/Icon\r", ("a", "Icon\r")),
        ("...hidden", ("...hidden",)),
    ],
)
def test_an_odd_but_honest_name_is_kept_or_repaired(name: str, parts: tuple[str, ...]) -> None:
    assert checked_parts(name, DEFAULT) == parts


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "/etc/passwd",
        "..",
        "../x.py",
        "a/../../x.py",
        "a/..",
        "a//b.py",
        ".. /x.py",
        "... /x.py",
        "C:/x.py",
        "c:x.py",
        "a\\b.py",
        "..\\x.py",
        "a\0.py",
        "a\n.py",
        "a\x1b[31m.py",
        "a\x7f.py",
        "a\x9b.py",
        "a\u202eyp.py",
        "a\u200b.py",
        "a\ufeff.py",
        "a\u2028.py",
        "a\ud800.py",
        "con",
        "NUL.py",
        "aux.tar.gz",
        "a/com1.txt/b.py",
        "lpt\u00b2.py",
        "con .py",
        "x" * 201,
        "ü" * 101,
        "/".join("a" * 13),
        "/".join(["x" * 150] * 6),
    ],
)
def test_a_name_that_is_dangerous_somewhere_is_refused(name: str) -> None:
    with pytest.raises(SubmissionRejected) as caught:
        checked_parts(name, DEFAULT)

    assert caught.value.cause is Cause.SUBMISSION_UNSAFE_NAME
    assert caught.value.message.isprintable()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a.py", "a.py"),
        ("a.py", "A.PY"),
        ("stra\u00dfe.py", "STRASSE.py"),
        ("\u0130.py", "i\u0307.py"),
        ("Lib/a.py", "lib/b.py"),
        ("a", "a/b.py"),
        ("a/b.py", "a"),
    ],
)
def test_two_names_for_one_file_are_refused(first: str, second: str) -> None:
    paths = [(checked_parts(name, DEFAULT), False) for name in (first, second)]

    with pytest.raises(SubmissionRejected) as caught:
        refuse_duplicates(paths)

    assert caught.value.cause is Cause.SUBMISSION_UNSAFE_NAME


def test_a_folder_may_be_named_once_by_itself_and_again_by_its_files() -> None:
    refuse_duplicates([(("a",), True), (("a",), True), (("a", "b.py"), False), (("a", "c"), True)])


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("__MACOSX/._densenet.py", "macOS files"),
        ("a/.DS_Store", "macOS files"),
        ("._x.py", "macOS files"),
        ("Thumbs.db", "Windows files"),
        ("a/.git/config", "version control"),
        ("a/__pycache__/densenet.cpython-311.pyc", "caches"),
        (".ipynb_checkpoints/densenet-checkpoint.ipynb", "caches"),
        ("venv/lib/python3.11/site-packages/keras/__init__.py", "a virtual environment"),
        ("densenet.py~", "editor files"),
        ("densenet.py", None),
        ("env.py", None),
        ("a/git.py", None),
    ],
)
def test_clutter_is_known_by_its_name(path: str, kind: str | None) -> None:
    assert clutter(tuple(path.split("/"))) == kind


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("densenet.py", Fate.KEPT),
        ("a/layers.py", Fate.KEPT),
        ("model.weights.h5", Fate.KEPT),
        ("model.keras", Fate.KEPT),
        ("notes.ipynb", Fate.NOTEBOOK),
        ("report.pdf", Fate.IGNORED),
        ("report.docx", Fate.IGNORED),
        ("Makefile", Fate.IGNORED),
        ("a:b.py", Fate.IGNORED),
        ("what?.py", Fate.IGNORED),
        ("data.npz", Fate.IGNORED),
        ("inner.zip", Fate.NESTED),
        ("x.tar.gz", Fate.NESTED),
        ("fast.so", Fate.DROPPED),
        ("fast.cpython-311-x86_64-linux-gnu.so", Fate.DROPPED),
        ("libfast.so.1", Fate.DROPPED),
        ("x.pth", Fate.DROPPED),
        ("sitecustomize.py", Fate.DROPPED),
        ("a/conftest.py", Fate.DROPPED),
        ("usercustomize/__init__.py", Fate.DROPPED),
    ],
)
def test_every_kind_of_file_has_its_fate(path: str, expected: Fate) -> None:
    assert fate(tuple(path.split("/"))) is expected


def test_a_module_named_like_a_known_one_is_noticed() -> None:
    assert shadows(("json.py",)) == "json"
    assert shadows(("keras", "__init__.py")) == "keras"
    assert shadows(("a", "json.py")) is None
    assert shadows(("densenet.py",)) is None
    assert shadows(("random",)) is None


def test_shown_text_holds_nothing_a_terminal_acts_on() -> None:
    assert shown("a\x1b[31m\u202e\n") == "a\\x1b[31m\\u202e\\n"
    assert len(shown("x" * 10**6)) == 79
    assert shown("é ok") == "é ok"


def test_long_lists_are_counted_not_printed() -> None:
    assert listed([f"{n}.py" for n in range(9)]).endswith("4.py and 4 more")


@pytest.mark.parametrize(
    ("count", "text"),
    [(1, "1 byte"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (2**62, "4096.0 PiB")],
)
def test_sizes_read_plainly(count: int, text: str) -> None:
    assert size(count) == text
