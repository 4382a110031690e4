"""The reference solution handed in is told, whatever its comments; other work is not."""

import hashlib
import re

import pytest

from grader.classroom.likeness import like_the_reference, likeness
from grader.domain import Submission, SubmittedFile
from grader.resources import reference_dir, template_dir

SOURCE = (reference_dir() / "densenet.py").read_text(encoding="utf-8")
CODE, WEIGHTS = "dense_block and transition", "weights file"


def said(tmp_path, source, weights=None):
    """What is said of a submission."""
    (tmp_path / "densenet.py").write_text(source, encoding="utf-8")
    files = ()
    if weights is not None:
        digest = hashlib.sha256(weights).hexdigest()
        files = (SubmittedFile(path="any.h5", size_bytes=len(weights), sha256=digest),)
    submission = Submission(
        student_id="s", source="s.zip", sha256="0" * 64, root="", files=files,
        weights="any.h5" if files else None,
    )  # fmt: skip
    return like_the_reference(submission, tmp_path, "densenet.py") or ""


def reordered(source):
    """`build_model` first, the rest behind it."""
    head, tail = source.split("def build_model", 1)
    imports, functions = head.split("\n\n\n", 1)
    return f"{imports}\n\n\ndef build_model{tail}\n\n{functions}"


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s,
        lambda s: re.sub(r"#.*", "", s) + "\n# mine\n",
        lambda s: re.sub(r'"""(?s:.*?)"""', '"""Mine."""', s),
        lambda s: s.replace("growth_rate=32", "growth_rate=12"),
        reordered,
        lambda s: s.replace("\n", "\r\n"),
    ],
    ids=["itself", "comments", "docstrings", "another network", "order", "Windows"],
)
def test_the_reference_is_told_under_other_comments_and_another_network(tmp_path, change):
    assert CODE in said(tmp_path, change(SOURCE))


@pytest.mark.parametrize(
    "source",
    [
        (template_dir() / "densenet.py").read_text(encoding="utf-8"),
        re.sub(r"\bnew\b", "fresh", SOURCE),
        SOURCE.replace("def transition", "def change"),
        SOURCE.replace("int(compression", "round(compression"),
        "def dense_block(:",
        "",
        "(" * 5000,
    ],
    ids=["template", "other names", "half of it", "a mistake", "no Python", "empty", "nested"],
)
def test_other_work_is_not_taken_for_the_reference(tmp_path, source):
    assert said(tmp_path, source, b"other weights") == ""


def test_a_helper_that_differs_makes_it_other_work(tmp_path):
    changed = SOURCE.replace("use_bias=False", "use_bias=True", 1)
    assert changed != SOURCE

    assert said(tmp_path, changed) == ""


def test_the_references_weights_are_told_under_any_name(tmp_path):
    weights = (reference_dir() / "densenet.weights.h5").read_bytes()

    assert WEIGHTS in said(tmp_path, "", weights)


def test_an_installation_without_the_reference_compares_nothing(tmp_path, monkeypatch):
    from grader.classroom import likeness

    def missing():
        raise FileNotFoundError("reference_solution")

    likeness._reference.cache_clear()
    monkeypatch.setattr(likeness, "reference_dir", missing)
    try:
        assert said(tmp_path, SOURCE) == ""
    finally:
        likeness._reference.cache_clear()


def told(tmp_path, source):
    (tmp_path / "densenet.py").write_text(source, encoding="utf-8")
    submission = Submission(student_id="s", source="s", sha256="0" * 64, root="", files=())
    return likeness(submission, tmp_path, "densenet.py", own=True)


def test_the_same_work_has_one_digest_and_the_template_none(tmp_path):
    mine = re.sub(r"\bnew\b", "fresh", SOURCE)

    digests = [told(tmp_path, s)["written_sha256"] for s in (mine, mine + "# yours", SOURCE)]

    assert digests[0] == digests[1] != digests[2] is not None
    template = (template_dir() / "densenet.py").read_text(encoding="utf-8")
    assert told(tmp_path, template) == {"copied": None, "written_sha256": None}
    assert told(tmp_path, SOURCE)["copied"] is None
