"""A call that does not come back is ended, with the system's timer and without one."""

import signal
import traceback

import pytest

from grader.inside.tracing.patience import NoAnswer, Patience, SystemTimer, ThreadTimer

CALL_S = 0.1


@pytest.fixture(params=["timer", "thread"])
def patience(request, monkeypatch):
    if request.param == "thread":
        monkeypatch.delattr(signal, "setitimer")
    found = Patience(CALL_S)
    assert found._timer is (SystemTimer if request.param == "timer" else ThreadTimer)
    return found


def spin(turns=None):
    n = 0
    while turns is None or n < turns:
        n += 1
    return n


def test_an_endless_loop_is_ended_where_it_stands(patience):
    with pytest.raises(NoAnswer, match=r"no answer after 0\.1 s of computing") as ended:
        patience.watch(spin)()

    assert patience.ran_out
    assert traceback.extract_tb(ended.value.__traceback__)[-1].name == "spin"


def test_a_loop_that_catches_everything_is_ended_as_well(patience):
    caught = []

    def stubborn():
        while len(caught) < 3:
            try:
                spin()
            except BaseException as error:
                caught.append(error)
        return len(caught)

    assert patience.watch(stubborn)() == 3


def test_a_call_that_comes_back_is_left_alone_and_so_is_what_follows(patience):
    assert patience.watch(spin)(1000) == 1000
    assert spin(3_000_000) == 3_000_000
    assert not patience.ran_out
