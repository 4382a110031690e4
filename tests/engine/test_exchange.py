"""What a child leaves is read whole or not at all; what it refuses, it says in a file."""

import numpy as np
import pytest

from grader.domain import Details, Record, Spent
from grader.engine import child, exchange
from grader.engine.exchange import Answers, Status
from grader.errors import Cause, InfrastructureError


class Found(Record):
    images: int


ANSWERS = Answers({"test": np.array([3, 1])}, np.array([0.5, 0.75], np.float32))


def test_what_a_child_leaves_is_what_the_grader_reads(tmp_path):
    status = exchange.leave(tmp_path, Found(images=2), ANSWERS)
    found, answers = exchange.result_in(tmp_path, Found, ("test",))

    assert (status, found.images) == (0, 2)
    assert answers.labels["test"].tolist() == [3, 1]
    assert answers.confidence.tolist() == [0.5, 0.75]


@pytest.mark.parametrize("gone", ["result.json", "labels-test.npy", "confidence.npy"])
def test_a_result_that_is_not_whole_is_a_fault_of_ours(tmp_path, gone):
    exchange.leave(tmp_path, Found(images=2), ANSWERS)
    (tmp_path / gone).write_bytes(b"half")

    with pytest.raises(InfrastructureError, match="cannot be read") as caught:
        exchange.result_in(tmp_path, Found, ("test",))

    assert caught.value.cause is Cause.INFRA_GRADER_BUG


def test_why_a_network_is_refused_is_told_in_a_file_and_not_in_the_log(tmp_path):
    assert exchange.refuse(tmp_path, "the operation Sort") is Status.REFUSED
    assert exchange.refusal_in(tmp_path) == "the operation Sort"
    assert not exchange.has_result(tmp_path)


def test_a_child_begins_without_what_an_earlier_one_left(tmp_path, monkeypatch):
    seen = []

    def ends(module, folder, environment, timeout_s):
        seen.extend(sorted(file.name for file in folder.iterdir()))
        return child.Ended(1, "", 0.0)

    monkeypatch.setattr(exchange, "run_child", ends)
    exchange.leave(tmp_path, Found(images=2), ANSWERS)
    exchange.refuse(tmp_path, "the operation Sort")

    exchange.ask("module", tmp_path, Found(images=9), {}, 1.0)

    assert seen == ["confidence.npy", "job.json", "labels-test.npy"]
    assert exchange.job_in(tmp_path, Found).images == 9


def test_what_nobody_measured_is_not_written():
    details = Details(seed=0, times=Spent(import_s=1.5)).model_copy(update={"no_answer": 0})

    assert details.model_dump(mode="json") == {
        "seed": 0,
        "times": {"import_s": 1.5},
        "no_answer": 0,
    }
    assert Details.model_validate(details.model_dump(mode="json")) == details
