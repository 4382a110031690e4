"""Each defence switched off turns its test red, and docs/defences.md names them all."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.sandbox.conftest import Range
from tests.sandbox.kill_matrix import (
    DEFENCES,
    PAGE,
    ROOT,
    Defence,
    Warm,
    in_page,
    source_of,
    without_defence,
)


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    """What runs the tests."""
    process = Warm()
    yield process
    process.close()


@pytest.mark.exhaustive
@pytest.mark.parametrize("defence", DEFENCES, ids=lambda d: d.name)
def test_a_defence_switched_off_is_noticed(
    defence: Defence, tmp_path: Path, ranges: Callable[[str], Range], warm: Warm
) -> None:
    if "[jail" in defence.test:
        ranges("jail")  # skips where there is no jail
    if defence.needs == "docker":
        ranges("docker")
    if defence.needs == "root" and os.getuid() != 0:
        pytest.skip("shown as root only")
    without_defence(defence, tmp_path)

    status, printed = warm.run_test(defence, tmp_path)

    assert status == 1, printed[-4000:]
    assert re.match(r"\.*[FE]", printed), printed
    assert "Timeout (>" not in printed, printed


@pytest.mark.parametrize("defence", DEFENCES, ids=lambda d: d.name)
def test_a_defence_stands_once_where_the_matrix_says(defence: Defence) -> None:
    assert source_of(defence).read_text().count(defence.old) == 1


def test_every_named_test_exists() -> None:
    for defence in DEFENCES:
        name = defence.test.partition("[")[0]
        assert f"def {name}(" in (ROOT / defence.module).read_text(), defence.name


def test_the_page_names_every_defence() -> None:
    text = PAGE.read_text()

    assert in_page(text) == text, "run: python -m tests.sandbox.kill_matrix"


def test_the_page_names_tests_that_exist() -> None:
    named = set(re.findall(r"\b(test_\w+)[`\[]", PAGE.read_text()))
    written = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))

    assert len(named) > 60
    assert {name for name in named if f"def {name}(" not in written} == set()
