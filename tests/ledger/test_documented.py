"""docs/ledger.md: each query that an instructor may paste gives rows, and the tables are these."""

import contextlib
import re
import sqlite3
from pathlib import Path

import pytest

from grader.domain import LEDGER, CheckResult, GradeStatus, Outcome
from grader.ledger import Entry, Ledger
from grader.ledger.database import VERSION
from grader.ledger.key import CourseKey
from tests.ledger.grades import evaluation, grade

KEY = CourseKey.of(bytes(range(32)))
PAGE = (Path(__file__).parents[2] / "docs" / "ledger.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    failed = CheckResult(name="stem", group="g", title="t", outcome=Outcome.FAILED)
    with Ledger(tmp_path, KEY) as book:
        book.write_grade(grade("chen", checks=(failed,), evaluation=evaluation()))
        asha = book.write_grade(grade("asha"))
        book.decide(asha, 70.0, why="lost the bus", by="Dr. Rao")
        book.write_grade(grade("jan", status=GradeStatus.REVIEW, score=0.0, message="look"))
    return tmp_path


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: " ".join(query.split())[:60])
def test_every_query_gives_rows(results: Path, query: str) -> None:
    with contextlib.closing(sqlite3.connect(results / LEDGER)) as database:
        assert database.execute(query).fetchall()


def test_there_are_queries() -> None:
    assert len(QUERIES) >= 8


def test_every_column_of_an_event_is_explained() -> None:
    rows = re.findall(r"^\| ([a-z0-9_, ]+) \|", PAGE, re.M)
    named = {name.strip() for row in rows for name in row.split(",")}

    assert set(Entry.model_fields) == named - {"column"}
    assert f"The schema, version {VERSION}" in PAGE
