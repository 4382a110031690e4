"""How far a class is, by a clock of the test's own."""

import threading

from grader.classroom.progress import Lane, Progress, Stage
from grader.domain import GradeStatus


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def progress_of(total):
    clock = Clock()
    return Progress(total, clock), clock


def test_a_lane_says_who_is_at_which_stage_and_for_how_long():
    progress, clock = progress_of(3)

    with progress.stage("chen", Stage.READING):
        clock.now += 2.5
        inside = progress.snapshot()

    assert inside.lanes == (Lane("chen", Stage.READING, 2.5),)
    assert progress.snapshot().lanes == ()


def test_the_longest_comes_first():
    progress, clock = progress_of(3)
    entered, leave = threading.Event(), threading.Event()

    def other():
        with progress.stage("late", Stage.MEASURING):
            entered.set()
            leave.wait(60)

    with progress.stage("early", Stage.READING):
        clock.now += 1
        thread = threading.Thread(target=other)
        thread.start()
        assert entered.wait(60)
        lanes = progress.snapshot().lanes
        leave.set()
        thread.join()

    assert [lane.who for lane in lanes] == ["early", "late"]


def test_a_stage_that_fails_leaves_its_lane():
    progress, _ = progress_of(1)

    try:
        with progress.stage("chen", Stage.READING):
            raise ValueError
    except ValueError:
        pass

    assert progress.snapshot().lanes == ()


def test_no_time_is_told_before_the_first_is_finished():
    assert progress_of(3)[0].snapshot().left_s is None


def test_the_time_left_goes_by_the_pace_of_the_last_ones():
    progress, clock = progress_of(50)
    for _ in range(25):  # known from disk: no time at all
        progress.finished(GradeStatus.GRADED)
    for _ in range(20):
        clock.now += 3
        progress.finished(GradeStatus.REVIEW)

    left = progress.snapshot()

    assert (left.done, left.left_s) == (45, 15.0)
    assert left.outcomes == {GradeStatus.GRADED: 25, GradeStatus.REVIEW: 20}


def test_the_time_left_runs_down_while_nothing_is_finished():
    progress, clock = progress_of(2)
    clock.now += 10
    progress.finished(GradeStatus.GRADED)
    clock.now += 4
    soon = progress.snapshot().left_s
    clock.now += 20

    assert (soon, progress.snapshot().left_s) == (6.0, 0.0)
