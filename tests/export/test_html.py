"""A folder of pages: whose file is whose, when what waits is told, and under which names."""

import re
from datetime import timedelta

import pytest

from grader.errors import UsageError
from grader.export.html import file_names, write_pages
from grader.export.pseudonyms import Pseudonyms
from grader.graph.drawing import Drawing, Row
from grader.report.html.student import Beside
from grader.report.visibility import all_due_passed
from tests import examples
from tests.examples import DUE
from tests.report.reading import Page

NAMED = Pseudonyms(lambda student_id: student_id.encode().ljust(32, b"."))

NOTHING = Beside()


def write(folder, grades, beside=NOTHING, now=DUE, **how):
    write_pages(grades, folder, beside=lambda grade: beside, now=now, **how)
    return {file.name: file.read_text("utf-8") for file in (folder / "students").iterdir()}


def of(student_id, make=examples.full_marks, **fields):
    return make().model_copy(update={"student_id": student_id} | fields)


def test_each_student_has_a_page_of_their_own_and_the_class_page_leads_there(tmp_path):
    pages = write(tmp_path, [examples.full_marks(), examples.deviating()])

    assert pages.keys() == {"s1234567.html", "s2345678.html"}
    assert "s2345678" not in pages["s1234567.html"]
    index = Page((tmp_path / "index.html").read_text("utf-8"))
    assert index.addresses() == ["students/s1234567.html", "students/s2345678.html"]


def test_no_two_students_share_a_file_and_no_name_leaves_the_folder():
    students = [
        "chen.li", "CHEN.LI", "chen.li", "../../etc/passwd", "a/b", "a\\b", "con", "nul.txt", "",
        ".", "-rf", "é" * 300, "x" * 300, "<script>", "a\0b", "\u202egnp", "\ud800", "a.",
    ]  # fmt: skip

    names = file_names(students)

    assert names[0] == "chen.li.html"
    assert len({name.casefold() for name in names}) == len(students)
    for name in names:
        assert name.isascii()
        assert not set(name) & set('/\\<>:"|?*\0')
        assert name[0].isalnum()
        assert len(name) < 100
        assert name.split(".")[0] not in {"con", "nul"}


@pytest.mark.parametrize(
    ("seconds", "after"), [(-1, False), (0, False), (0.9, False), (1, True), (86400, True)]
)
def test_what_waits_for_the_due_date_is_told_after_its_second(tmp_path, seconds, after):
    grade = examples.deviating()
    later = tuple(
        check.model_copy(update={"visibility": "after_due"}) if check.name == "stem" else check
        for check in grade.checks
    )

    pages = write(
        tmp_path,
        [grade.model_copy(update={"checks": later})],
        now=DUE + timedelta(seconds=seconds),
    )

    assert ("The network begins with one 3×3 convolution" in pages["s2345678.html"]) == after


def test_nothing_is_told_before_the_last_of_a_class_has_handed_in():
    extended = examples.full_marks()
    deadline = extended.deadline.model_copy(update={"due": DUE + timedelta(days=3)})
    grades = [examples.deviating(), extended.model_copy(update={"deadline": deadline})]

    assert not all_due_passed(grades, DUE + timedelta(days=2))
    assert all_due_passed(grades, DUE + timedelta(days=4))
    assert not all_due_passed([examples.withheld()], DUE + timedelta(days=4))


def test_pages_of_others_in_the_folder_are_named_and_nothing_is_written(tmp_path):
    write(tmp_path, [of("chen")])
    before = (tmp_path / "index.html").read_bytes()

    with pytest.raises(UsageError, match=r"Received: chen\.html as well"):
        write(tmp_path, [of("chen")], pseudonyms=NAMED)

    assert (tmp_path / "index.html").read_bytes() == before
    assert write(tmp_path, [of("chen"), of("doe")]).keys() == {"chen.html", "doe.html"}


# --- other names --------------------------------------------------------------------------

IDS = ["chen.li_48213", "Ann", "O'Brien, Seán", "jane.doe@example.edu", "学生"]


@pytest.mark.parametrize("student_id", IDS)
@pytest.mark.parametrize("make", examples.ALL)
def test_under_another_name_no_page_tells_whose_it_is(tmp_path, student_id, make):
    parts = ["48213", "chen.li", "Brien", "seán", "jane", "example", "学生", "Ann"]
    said = f"by {student_id}, {student_id.upper()} in /home/{student_id}/densenet.py"
    grade = of(student_id, make, message=said, remarks=(said,))
    source = grade.submission.model_copy(update={"source": f"{student_id}/x.zip"})
    findings = tuple(
        check.model_copy(
            update={"findings": tuple(f.model_copy(update={"code": said}) for f in check.findings)}
        )
        for check in grade.checks
    )
    grade = grade.model_copy(update={"submission": source, "checks": findings})
    row = Row("stem", "3×3 convolution", said, True, (said,))
    drawing = Drawing("DenseNet", "build_model", (row,))

    pages = write(tmp_path, [grade], Beside(drawing), pseudonyms=NAMED)

    ((name, page),) = pages.items()
    index = (tmp_path / "index.html").read_text("utf-8")
    assert name == f"{NAMED.of(student_id)}.html"
    for text in (name, Page(page).text, Page(index).text):
        told = re.split(r"[^\w.@-]+|_", text.casefold())
        assert [p for p in parts if p in student_id and p.casefold() in told] == []
        assert student_id.casefold() not in told


def test_a_short_name_takes_nothing_out_of_longer_words():
    hidden = NAMED.grade(of("ann", message="ann: expected channels"))

    assert hidden.message == "[name]: expected channels"


def test_the_same_student_has_the_same_other_name_and_the_class_another_order(tmp_path):
    ids = ["alan", "berta", "carl", "dora"]

    pages = write(tmp_path, [of(i) for i in ids], pseudonyms=NAMED)

    assert pages.keys() == {f"{NAMED.of(i)}.html" for i in ids}
    index = Page((tmp_path / "index.html").read_text("utf-8"))
    assert index.addresses() == sorted(index.addresses())


def test_all_that_is_no_name_stays_in_the_grade():
    grade = examples.deviating()

    hidden = NAMED.grade(grade)

    assert hidden.checks == grade.checks
    assert hidden.evaluation == grade.evaluation
    assert (hidden.score, hidden.status, hidden.deadline) == (
        grade.score, grade.status, grade.deadline,
    )  # fmt: skip
