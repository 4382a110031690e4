"""Mistakes that students make, each replayed: what `grade check` says first has to be the mistake.

A file of `mistakes/` holds mistakes in the words of the self-test's catalogue
(`grader/selftest/parse.py`), as edits of the template filled in. `loses` names the checks that are
told as causes, all of them and in their order. Lines of three more kinds say how the first is told:

    says: dense_block, layers 1 to 4: its convolution      stands in its headline
    try: a kernel of 3×3                                   stands in what to try
    remark: the arguments of dense_block                   stands in a remark beside it
    line: x = layers.Add()([x, y])                         the line that is shown, and its number;
                                                           * is any line
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from grader.checks import CHECKS
from grader.course import GradeOptions
from grader.domain import Grade
from grader.pipeline import Checker, checking
from grader.report.causes import cause_words, causes_of
from grader.resources import assignment_dir, template_dir
from grader.sandbox import sandbox_for_own_code
from grader.selftest.definitions import with_definitions
from grader.selftest.mutant import Mutant
from grader.selftest.parse import parse

FOLDER = Path(__file__).parent / "mistakes"
CHECK_NAMES = [check.name for check in CHECKS]
SAMPLE = {
    "missing-colon", "a-name-not-imported", "added-where-sizes-differ", "no-return-in-block",
    "conv-bn-relu", "always-in-training", "added-over-a-shortcut", "pooling-of-stride-1",
    "another-name-for-the-block", "a-hundred-classes",
}  # fmt: skip
"""Of every kind of answer one; `make test-all` replays the rest."""
TOLD = r"^(says|try|line|remark): (.*)$"
LOOP_S = 15
"""After so long an endless loop is ended here; a student waits two minutes."""

pytestmark = [pytest.mark.tensorflow, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Mistake:
    """One mistake, and how it has to be told.

    Attributes:
        mutant: The edits; `loses` are the causes.
        says: Stands in the headline of the first.
        tries: Stands in its help.
        line: The student's line that it shows.
        remark: Stands in a remark; none may be made where it is empty.
    """

    mutant: Mutant
    says: str = ""
    tries: str = ""
    line: str = ""
    remark: str = ""


def mistakes(file: Path) -> Iterator[Mistake]:
    """The mistakes of a file."""
    text = file.read_text(encoding="utf-8")
    for section in re.split(r"^(?=== )", text, flags=re.M)[1:]:
        told = dict(re.findall(TOLD, section, flags=re.M))
        (mutant,) = parse(re.sub(TOLD, "", section, flags=re.M), file.stem, CHECK_NAMES)
        yield Mistake(mutant, *(told.get(kind, "") for kind in ("says", "try", "line", "remark")))


def solution() -> str:
    """The template filled in, and a network that is built in a moment."""
    template = (template_dir() / "densenet.py").read_text(encoding="utf-8")
    filled_in = (FOLDER / "solution.txt").read_text(encoding="utf-8")
    small = template.replace("build_densenet(depth=40, ", "build_densenet(depth=16, ")
    assert small != template
    return with_definitions(small, filled_in)


SOLUTION = solution()
FILES = ("stopped.txt", "blocks.txt", "network.txt")
ALL = {m.mutant.name: m for file in FILES for m in mistakes(FOLDER / file)}


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    """`grade check`, kept warm."""
    options = GradeOptions(assignment_dir(), evaluate=False, sandbox=sandbox_for_own_code())
    with checking(options, within_s=LOOP_S) as checker:
        yield checker


def checked(checker: Checker, text: str, folder: Path) -> Grade:
    """The grade of a densenet.py."""
    (folder / "densenet.py").write_text(text, encoding="utf-8")
    return checker.check(folder)


def sampled(name: str) -> object:
    return pytest.param(name, marks=[] if name in SAMPLE else [pytest.mark.exhaustive])


def test_there_are_more_than_forty_of_them_and_the_sample_is_among_them():
    assert len(ALL) > 80
    assert set(ALL) >= SAMPLE


def test_the_template_filled_in_makes_no_mistake(checker, tmp_path):
    grade = checked(checker, SOLUTION, tmp_path)

    assert causes_of(grade.checks) == []


@pytest.mark.parametrize("name", [sampled(name) for name in ALL])
def test_the_first_thing_said_is_the_mistake(name, checker, tmp_path):
    mistake = ALL[name]
    text = mistake.mutant.source(SOLUTION)

    grade = checked(checker, text, tmp_path)
    causes = causes_of(grade.checks)
    remarks = [f.message for c in grade.checks for f in c.findings if f.severity == "remark"]

    assert len(remarks) == bool(mistake.remark)
    assert all(mistake.remark in remark for remark in remarks)
    assert tuple(cause.check.name for cause in causes) == mistake.mutant.loses
    if not causes:
        return
    assert mistake.says in cause_words(causes[0])
    found = causes[0].finding
    assert found is not None
    assert mistake.tries in found.help
    if mistake.line == "*":
        assert found.line
        return
    assert found.code == mistake.line
    if mistake.line:
        assert text.splitlines()[found.line - 1].strip() == mistake.line
