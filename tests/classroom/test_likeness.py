"""The reference solution handed in is told, whatever its comments; other work is not."""

import hashlib
import re

import h5py
import numpy as np
import pytest

from grader.classroom.likeness import like_the_reference, likeness
from grader.domain import Submission
from grader.resources import reference_dir, template_dir

SOURCE = (reference_dir() / "densenet.py").read_text(encoding="utf-8")
CODE, WEIGHTS = "dense_block and transition", "trained weights"


def said(tmp_path, source, weights=None):
    """What is said of a submission."""
    (tmp_path / "densenet.py").write_text(source, encoding="utf-8")
    return (
        like_the_reference(
            handed_in(None if weights is None else "any.h5"),
            tmp_path,
            "densenet.py",
            weights or b"",
        )
        or ""
    )


def handed_in(weights=None):
    return Submission(
        student_id="s", source="s.zip", sha256="0" * 64, root="", files=(), weights=weights
    )


def trained():
    """The reference's variables as they come out of the sandbox, in another order."""
    found = []

    def keep(_, item):
        if isinstance(item, h5py.Dataset):
            found.append(item[()].astype("<f4"))

    with h5py.File(reference_dir() / "densenet.weights.h5") as file:
        file.visititems(keep)
    return found[::-1]


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


def test_the_references_weights_are_told_however_they_were_saved(tmp_path):
    assert WEIGHTS in said(tmp_path, "", b"".join(a.tobytes() for a in trained()))


def test_the_references_weights_are_told_where_the_classifier_was_trained_anew(tmp_path):
    classifier, *others = trained()

    assert WEIGHTS in said(tmp_path, "", b"".join(a.tobytes() for a in (classifier + 1, *others)))


def test_weights_of_another_training_are_not_the_references(tmp_path):
    moved = b"".join((a * np.float32(1.001)).tobytes() for a in trained())

    assert said(tmp_path, "", moved) == ""


def test_an_installation_without_the_reference_compares_nothing(tmp_path, monkeypatch):
    from grader.classroom import likeness

    def forget():
        likeness._reference_digest.cache_clear()
        likeness._reference_kernels.cache_clear()

    def missing():
        raise FileNotFoundError("reference_solution")

    forget()
    monkeypatch.setattr(likeness, "reference_dir", missing)
    try:
        assert said(tmp_path, SOURCE, b"".join(a.tobytes() for a in trained())) == ""
    finally:
        forget()


def told(tmp_path, source, weights=None):
    (tmp_path / "densenet.py").write_text(source, encoding="utf-8")
    return likeness(handed_in(weights), tmp_path, "densenet.py", b"numbers", own=True)


def test_the_same_work_has_one_digest_and_the_template_none(tmp_path):
    mine = re.sub(r"\bnew\b", "fresh", SOURCE)

    digests = [told(tmp_path, s)["written_sha256"] for s in (mine, mine + "# yours", SOURCE)]

    assert digests[0] == digests[1] != digests[2] is not None
    template = (template_dir() / "densenet.py").read_text(encoding="utf-8")
    nothing = {"copied": None, "written_sha256": None, "weights_sha256": None}
    assert told(tmp_path, template) == nothing
    assert told(tmp_path, SOURCE)["copied"] is None


def test_weights_have_a_digest_where_they_were_handed_in(tmp_path):
    digest = hashlib.sha256(b"numbers").hexdigest()

    assert told(tmp_path, SOURCE, "any.h5")["weights_sha256"] == digest
