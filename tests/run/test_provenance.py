"""What decides what a run gives is in its name."""

import shutil

import pytest

from grader.run import provenance


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the package's program inside, which a test may change."""
    shutil.copytree(provenance.PACKAGE / "inside", tmp_path / "inside")
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    provenance.programs_digest.cache_clear()
    yield tmp_path
    provenance.programs_digest.cache_clear()


def test_a_change_in_any_file_of_the_program_inside_asks_for_another_run(package):
    deepest = max((package / "inside").rglob("*.py"), key=lambda file: len(file.parts))
    before = provenance.inside_digest()
    deepest.write_text(deepest.read_text() + "# changed\n")
    provenance.programs_digest.cache_clear()

    assert len(deepest.relative_to(package).parts) > 2
    assert provenance.inside_digest() != before
