"""A supervisor that somebody ended before it had read its order: a fault of the machine."""

import contextlib
import os
import socket

import pytest

from grader.domain import Limits
from grader.errors import Cause, InfrastructureError
from grader.sandbox.pump import Ends, Pump
from grader.sandbox.verdict import result

LIMITS = Limits(wall_time_s=5.0)


@pytest.fixture
def heard():
    """A run whose supervisor says something, reads so many bytes of its order, and dies."""
    with contextlib.ExitStack() as closing:

        def pump(said, read=0):
            ours, theirs = socket.socketpair()
            request, output, log = os.pipe(), os.pipe(), os.pipe()
            ends = Ends(request[1], output[0], log[0], ours)
            closing.callback(ends.close)
            ours.sendall(b"an order\n")
            theirs.sendall(said)
            if read:
                theirs.recv(read)
            theirs.close()
            for fd in (request[0], output[1], log[1]):
                os.close(fd)
            return Pump(ends, b"request", LIMITS)

        yield pump


@pytest.mark.parametrize("read", [0, 9], ids=["its order unread", "its order read"])
def test_it_is_no_fault_of_the_student_and_no_crash_of_the_grader(heard, read):
    pump = heard(b'{"supervisor": 4194305}\n', read)

    ending = pump.run()

    with pytest.raises(InfrastructureError, match="ended without a report"):
        result(ending, pump.talk.parser, LIMITS, "process")


def test_what_it_said_is_heard_though_it_never_read_its_order(heard):
    pump = heard(b'{"supervisor": 4194305}\n{"error": "no room", "errno": 28}\n')

    ending = pump.run()

    with pytest.raises(InfrastructureError) as caught:
        result(ending, pump.talk.parser, LIMITS, "process")
    assert caught.value.cause is Cause.INFRA_DISK
