"""Files that people write: whatever is in them, they are read or refused with what to do.

A recipe comes from a student; an assignment and its extensions from an instructor, whose slip at
23:01 must not become a traceback. Names come from a learning platform, or from whoever named a zip.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from grader.assignment import load_assignment
from grader.classroom.extensions import load_extensions
from grader.engine.recipe import RecipeError, parse_recipe
from grader.errors import AssignmentError
from grader.intake.names import identify, safe_id
from grader.resources import assignment_dir, template_dir
from tests.bounded import within

PROFILE = settings(
    max_examples=150,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
LONGEST_S = 2.0
"""Of processor time, to read one file."""
WORDS = (
    "0", "-1", "1e999", "nan", "inf", "9" * 400, "0x1", "true", '"', "'", "[", "]", "{", "}", "=",
    ".", ",", "#", "\n", "\r", "\0", "\ufeff", "\u202e", "1979-05-27T07:32:00Z", "[rubric]", "a.b",
    '"""', "[[a]]", "2027-02-30", "99999-01-01", "24:61", "=1+1", "é",
)  # fmt: skip
RECIPE = (template_dir() / "recipe.paper.toml").read_text()
ASSIGNMENT = (assignment_dir() / "assignment.toml").read_text()
EXTENSIONS = "student_id,due\nada,2027-12-01T23:59\n007,2027-12-02 12:00+01:00\n"


def edited(text: str) -> st.SearchStrategy[str]:
    """The text with a few places overwritten, cut out or said twice."""
    places = st.tuples(
        st.integers(0, len(text)), st.integers(0, 30), st.sampled_from((*WORDS, "", "twice"))
    )

    def apply(edits: list[tuple[int, int, str]]) -> str:
        changed = text
        for at, length, word in edits:
            taken = changed[at : at + length]
            put = 2 * taken if word == "twice" else word
            changed = changed[:at] + put + changed[at + length :]
        return changed

    return st.lists(places, min_size=1, max_size=4).map(apply)


def refusal(read: Callable[[], object], error: type[Exception]) -> str | None:
    """What is said where it is refused; anything else that is raised is a fault of ours."""
    with within(LONGEST_S):
        try:
            read()
        except error as refused:
            return str(refused)
    return None


@PROFILE
@example("[" * 10_000)
@example("a = " + "[" * 5_000)
@example("a." * 5_000 + "b = 1")
@example("seed = " + "9" * 5_000)
@given(edited(RECIPE))
def test_an_edited_recipe_is_read_or_refused(text: str) -> None:
    said = refusal(lambda: parse_recipe(text.encode("utf-8", "surrogatepass")), RecipeError)

    assert said is None or "recipe.toml" in said


@PROFILE
@given(st.binary(max_size=200))
def test_bytes_for_a_recipe_are_read_or_refused(data: bytes) -> None:
    said = refusal(lambda: parse_recipe(data), RecipeError)

    assert said is None or "recipe.toml" in said


@PROFILE
@example("[" * 10_000)
@example("[rubric]\nstem = " + "9" * 5_000)
@example("a." * 5_000 + "b = 1")
@example("rubric." + "a." * 5_000 + "b = 1")
@given(edited(ASSIGNMENT))
def test_an_edited_assignment_is_read_or_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "assignment.toml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))

    said = refusal(lambda: load_assignment(tmp_path), AssignmentError)

    assert said is None or "assignment.toml" in said


@PROFILE
@example("student_id,due\n" + "a" * 200_000 + ",2027-12-01\n")
@example('student_id,due\n"' + "\n" * 1000)
@given(edited(EXTENSIONS))
def test_edited_extensions_are_read_or_refused(tmp_path: Path, text: str) -> None:
    source = ASSIGNMENT.replace("# extensions =", "extensions =")
    (tmp_path / "assignment.toml").write_text(source)
    (tmp_path / "extensions.csv").write_bytes(text.encode("utf-8", "surrogatepass"))
    assignment = load_assignment(tmp_path)

    said = refusal(lambda: load_extensions(assignment), AssignmentError)

    assert said is None or "extensions.csv" in said


names = st.lists(
    st.sampled_from(
        ("ada", "_", "-", " ", ".zip", "LATE", "12345", "assignsubmission_file_", "_attempt_",
         "2027-09-01-12-00-00", "2027-13-41-99-99-99", "submission", "..", "\u202e", "\n", "@",
         "=cmd", "9" * 30, "ü", "İ")
    ),
    min_size=1, max_size=8,
).map("".join) | st.text(min_size=1, max_size=60)  # fmt: skip


@PROFILE
@given(names, names)
def test_any_name_gives_an_id_that_is_safe_to_write(folder: str, name: str) -> None:
    parts = [part.replace("/", "").replace("\0", "") or "x" for part in (folder, name)]

    identity = identify(Path(*parts), UTC)

    assert identity.student_id == safe_id(identity.student_id)
    assert identity.student_id.isprintable()
    assert "/" not in identity.student_id
    assert identity.student_id not in ("", ".", "..")
    assert identity.student_id[0] not in "=+-@"
