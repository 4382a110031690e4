"""Submissions of a course whose files have any names: no module is asked for."""

import json

import pytest

from grader.errors import SubmissionRejected
from grader.intake.collecting import collect
from grader.intake.discovery import discover
from grader.intake.policy import IntakePolicy
from grader.intake.working import Scope

NAMED = IntakePolicy(module="", named=("2-identity block.py", "4-resnet50.py"))
ANY = IntakePolicy(module="")


def put(folder, *names, text="x = 1\n"):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def taken(folder, tmp_path, policy, **more):
    submission = collect(folder, tmp_path / "tree", policy=policy, **more)
    return [file.path for file in submission.files], submission.remarks


@pytest.mark.parametrize("top", ["", "alice", "repository/0x08-deep_cnns"])
def test_any_of_the_named_files_makes_a_submission_wherever_its_folder_lies(tmp_path, top):
    names = [f"{top}/{name}".lstrip("/") for name in ("2-identity block.py", "helper.py")]
    folder = put(tmp_path / "work", *names)

    files, _ = taken(folder, tmp_path, NAMED)

    assert files == ["2-identity block.py", "helper.py"]


def test_without_names_any_code_does(tmp_path):
    files, _ = taken(put(tmp_path / "work", "whatever-1.py"), tmp_path, ANY)

    assert files == ["whatever-1.py"]


def test_what_holds_none_of_the_files_is_told_their_names(tmp_path):
    with pytest.raises(SubmissionRejected, match=r"2-identity block.py or 4-resnet50.py"):
        taken(put(tmp_path / "work", "resnet.py"), tmp_path, NAMED)


def test_of_a_working_folder_the_named_files_count_and_what_they_import(tmp_path):
    folder = put(tmp_path / "work", "4-resnet50.py", text="import blocks\n")
    put(folder, "blocks.py", "notes.py", "2-identity block.py")

    files, _ = taken(folder, tmp_path, NAMED, scope=Scope.CODE)

    assert files == ["2-identity block.py", "4-resnet50.py", "blocks.py"]


def test_a_notebook_alone_is_read_as_a_file_of_its_own_name(tmp_path):
    cell = {"cell_type": "code", "metadata": {}, "source": "def f(): ...", "outputs": []}
    book = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}
    folder = put(tmp_path / "work", "my answer.ipynb", text=json.dumps(book))

    files, remarks = taken(folder, tmp_path, ANY)

    assert files == ["my answer.py"]
    assert "my answer.py was read from my answer.ipynb." in remarks


def test_a_folder_of_submissions_is_found_by_any_of_the_files(tmp_path):
    put(tmp_path / "class", "alice/4-resnet50.py", "ben/2-identity block.py", "ben/more.py")

    found = discover([tmp_path / "class"], NAMED)

    assert sorted(item.identity.student_id for item in found.items) == ["alice", "ben"]
