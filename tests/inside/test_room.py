"""A file system of a run's own: asked for once, and missed without harm."""

import sys

import pytest

from grader.inside import room

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such")


def test_what_has_worked_once_is_not_tried_again(monkeypatch):
    answers = iter([False, True])
    monkeypatch.setattr(room, "_tried", [])
    monkeypatch.setattr(room, "_works", lambda: next(answers))

    assert [room.allowed() for _ in range(4)] == [False, True, True, True]


def test_where_no_more_of_them_fit_the_run_goes_on_without(monkeypatch):
    def no_space(*_):
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(room, "_tried", [True])
    monkeypatch.setattr(room, "_make", no_space)

    assert not room.make("/nowhere", 2**20, None)
