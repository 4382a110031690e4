"""docs/new-unit.md, followed from its first line to its last by what stands in it alone."""

import re
import shlex
from pathlib import Path

import pytest

from grader.cli import run

PAGE = Path(__file__).parents[2] / "docs" / "new-unit.md"
STEP = re.compile(r"(?:`([^`\n]+)`:\n\n)?```(\w+)\n(.*?)```", re.DOTALL)


def steps() -> list[tuple[str, str, str]]:
    """The fenced blocks of the page: the file that a block is, its language, its text."""
    return [(match[1] or "", match[2], match[3]) for match in STEP.finditer(PAGE.read_text())]


@pytest.mark.tensorflow
def test_the_page_leads_from_an_empty_folder_to_a_graded_unit(
    workshops, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("grader.sandbox.open_sandbox", lambda *a, **k: workshops)
    monkeypatch.chdir(tmp_path)
    told = {}

    for file, language, text in steps():
        if file:
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            Path(file).write_text(text, encoding="utf-8")
            continue
        assert language == "sh"
        for line in text.splitlines():
            if "doctor" in line:  # tests/cli/test_doctor.py: what it says depends on the machine
                continue
            status = run(shlex.split(line)[1:])
            told[line] = (status, capsys.readouterr().out)

    statuses = {line: status for line, (status, _) in told.items()}
    assert {status for line, status in statuses.items() if " check " not in line} == {0}
    assert [status for line, status in statuses.items() if " check " in line] == [1]
    said = {line.split()[1]: text for line, (_, text) in told.items()}
    assert "10 / 10 points" in said["units/lenet/reference"]
    assert "0 / 10 points" in said["units/lenet/template"]
    assert "padding" in said["try/no-padding"]
    assert Path("work/submission.zip").is_file()
