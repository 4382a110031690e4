"""The pages of students and of the class: whole in themselves, readable, harmless, discreet."""

import re
from itertools import pairwise

import pytest

from grader.domain import Details, Epoch, GradeStatus, Override
from grader.graph.drawing import Drawing, Row
from grader.report.html.classpage import class_page
from grader.report.html.student import Beside, student_page
from grader.scoring import ACCURACY
from tests import examples
from tests.report.reading import ALLOWED, Page, hash_of
from tests.report.test_terminal import FORBIDDEN, NAMES, everywhere

PNG = b"\x89PNG\r\n\x1a\n" + b"picture" * 100
LAYER = "all maps before it → BN → ReLU → 3×3 convolution, 12 maps"
WRONG = "all maps before it → ReLU → BN → 3×3 convolution, 12 maps"
DRAWING = Drawing(
    "DenseNet, L = 13, k = 12, θ = 1",
    "build_model",
    (
        Row("stem", "3×3 convolution, 16 maps", "3×3 convolution, 16 maps"),
        Row("block 1, layer 3", LAYER, WRONG, True, ("a", "b", "c", "d", "e")),
        Row("head", "BN → ReLU", "missing", True),
    ),
)
CLASSES = ("cat", "dog", "ship")
EPOCHS = tuple(
    Epoch(
        number=number,
        loss=1.0 / number,
        train_accuracy=0.2 * number,
        test_accuracy=0.1 * number,
        test_loss=None,
        learning_rate=0.1,
        images_per_s=100.0,
        training_s=10.0 * number,
    )
    for number in (1, 2, 3, 4)
)


def measured_grade():
    """Everything that a page can show: lost points, a curve, a confusion table, lateness."""
    grade = examples.deviating()
    details = Details(classes=CLASSES, confusion=((8, 1, 1), (0, 9, 1), (2, 0, 8)), epochs=EPOCHS)
    measured = grade.evaluation.model_copy(update={"details": details})
    return grade.model_copy(update={"evaluation": measured})


def page_of(grade, beside=None, after_due=False, **fields) -> Page:
    return Page(student_page(grade, beside or Beside(), after_due=after_due, **fields))


def full_page() -> Page:
    return page_of(measured_grade(), Beside(DRAWING, PNG), title="DenseNet on CIFAR-10")


def every_page():
    yield from (page_of(getattr(examples, name)()) for name in NAMES)
    yield full_page()


def the_class() -> Page:
    grades = [one() for one in (*examples.ALL, examples.hostile)]
    return Page(class_page(grades, {n: f"students/{n}.html" for n in range(len(grades))}))


# --- whole in itself ----------------------------------------------------------------------


def test_a_students_page_runs_nothing_and_loads_nothing():
    for page in every_page():
        assert page.tags() <= ALLOWED
        assert [a for a in page.addresses() if not a.startswith("data:image/png;base64,")] == []
        assert [a for _, given in page.elements for a in given if a.startswith("on")] == []
        assert [given for _, given in page.elements if "style" in given] == []
        assert "url(" not in page.contents["style"]
        assert "@import" not in page.contents["style"]


def test_the_policy_lets_a_page_use_its_own_style_and_nothing_else():
    for page in every_page():
        policy = page.policy()
        assert policy.pop("style-src") == hash_of(page.contents["style"])
        assert policy == {
            "default-src": "'none'",
            "img-src": "data:",
            "script-src": "'none'",
            "base-uri": "'none'",
            "form-action": "'none'",
        }


def test_the_class_page_runs_its_own_script_alone_and_leads_to_each_student():
    page = the_class()

    assert page.policy()["script-src"] == hash_of(page.contents["script"])
    assert page.policy()["style-src"] == hash_of(page.contents["style"])
    assert page.tags() <= ALLOWED | {"script", "a"}
    assert page.addresses() == [f"students/{n}.html" for n in range(len(examples.ALL) + 1)]


# --- readable -----------------------------------------------------------------------------


@pytest.mark.parametrize("make", [full_page, the_class])
def test_a_screen_reader_finds_its_way(make):
    page = make()
    levels = page.headings()
    ids = [given["id"] for _, given in page.elements if "id" in given]
    labels = [given["aria-labelledby"] for _, given in page.elements if "aria-labelledby" in given]

    assert page.of("html") == [{"lang": "en"}]
    assert [len(page.of(tag)) for tag in ("header", "main", "h1")] == [1, 1, 1]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert len(ids) == len(set(ids))
    assert set(labels) <= set(ids)
    assert len(page.of("caption")) == len(page.of("table")) > 0
    assert all("scope" in given for given in page.of("th"))
    assert all(given["alt"] for given in page.of("img"))
    assert all(g.get("aria-hidden") or g.get("aria-label") for g in page.of("svg"))


def test_the_page_says_all_that_a_student_should_know_in_this_order():
    text = full_page().text

    told = (
        "DenseNet on CIFAR-10", "s2345678", "graded", "45 / 100 points",
        "What to do next", "Mend 1 below first; the others may go with it.",
        "Where points were lost", "dense_block, layers 1 to 4",
        "the maps its 1×1 convolution gives", "expected 48", "received 24",
        "Huang et al. 2017, sec. 3, Bottleneck layers", "print(d.dense_block(",
        "Also lost by this", "parameter-count-block",
        "dense_block, layers 3 and 4: it receives the block's input",
        "The network beside the paper’s", "2 of 3 parts differ", "and 2 more",
        "All checks", "bottleneck", "Late −", "Score 45 / 100",
        "Accuracy on the test images", "84.78%", "not met: must be above 85%", "95 % interval",
        "The interval holds the threshold", "Training curve", "Confusion table",
        "Worst mistakes", "Deadline", "1 s late", "Remarks, which cost nothing",
        "its pooling: expected behind the 1×1 convolution, received before it", "SHA-256",
    )  # fmt: skip
    at = 0
    for words in told:
        assert words in text[at:], words
        at = text.index(words, at)


def test_the_pictures_say_in_words_what_they_show():
    page = full_page()

    labels = [given["aria-label"] for given in page.of("svg") if "aria-label" in given]
    assert labels == [
        "84.78% on a scale from 0 to 100 %; the threshold is at 85%",
        "Accuracy over 4 epochs: test from 10.0% to 40.0%",
    ]
    cells = [
        given["class"] for given in page.of("td") if re.search(r" s\d$", given.get("class", ""))
    ]
    assert cells[:3] == ["right s7", "wrong s4", "wrong s4"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (examples.full_marks, "Nothing is left to mend. You need do nothing."),
        (examples.under_review, "A person looks at this submission"),
        (examples.stopped, "densenet.py, line 3"),
        (examples.rejected, "Run grade pack in the folder with densenet.py, or make a new zip"),
        (examples.withheld, "This is not your doing."),
        (examples.without_evaluation, "points are still open"),
    ],
)
def test_each_verdict_says_what_to_do_next(make, words):
    assert words in page_of(make()).text


def test_a_fault_of_the_machine_is_no_students_to_read():
    text = page_of(examples.withheld()).text

    assert "Docker" not in text
    assert "/var/run" not in text


# --- harmless -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_string_of_a_grade_may_be_hostile(name):
    grade = everywhere(getattr(examples, name)(), examples.HOSTILE)
    row = Row(examples.HOSTILE, examples.HOSTILE, examples.HOSTILE, True, (examples.HOSTILE,) * 9)
    drawing = Drawing(examples.HOSTILE, examples.HOSTILE, (row,))

    own = student_page(grade, Beside(drawing), after_due=True, title=examples.HOSTILE)
    of_class = class_page([grade], {0: "students/x.html"}, title=examples.HOSTILE)

    assert Page(own).tags() <= ALLOWED
    assert Page(of_class).tags() <= ALLOWED | {"script", "a"}
    for text in (own, of_class):
        assert not FORBIDDEN.search(text.replace("\n", ""))
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert(1)" in text


def test_an_endless_message_is_cut():
    assert len(student_page(examples.hostile(), Beside(), after_due=True)) < 100_000


# --- discreet -----------------------------------------------------------------------------


def hide(grade, visibilities):
    return grade.model_copy(
        update={
            "checks": tuple(
                check.model_copy(update={"visibility": visibilities.get(check.name, "visible")})
                for check in grade.checks
            )
        }
    )


@pytest.mark.parametrize("after_due", [False, True])
def test_a_page_tells_of_a_check_only_when_its_student_may_know(after_due):
    grade = hide(measured_grade(), {"dense-connectivity": "hidden", "bottleneck": "after_due"})

    html = student_page(grade, Beside(DRAWING, PNG), after_due=after_due)

    assert "dense-connectivity" not in html
    assert "eq. 2" not in html
    assert ("to 4k maps before the 3×3 one" in Page(html).text) == after_due
    assert "Of the checks that you can see." in html
    assert " / 100 points" not in Page(html).text


def test_the_picture_of_the_network_waits_for_the_last_check_that_it_tells_of():
    grade = hide(measured_grade(), {"bottleneck": "after_due"})

    before, after = (
        page_of(grade, Beside(DRAWING, PNG), after_due=passed) for passed in (False, True)
    )

    assert "beside the paper" not in before.text
    assert "beside the paper" in after.text


def test_an_unseen_accuracy_leaves_no_picture():
    grade = hide(measured_grade(), {ACCURACY: "hidden"})

    page = page_of(grade, Beside(DRAWING, PNG))

    assert "ccuracy" not in page.text
    assert page.of("img") == []
    assert "beside the paper" in page.text


def test_a_score_set_by_hand_is_said_to_be_without_who_and_why():
    override = Override(
        score=88.0,
        why="spoke with the dean",
        by="Prof. Ada",
        at=examples.DUE,
        computed_status=GradeStatus.GRADED,
        computed_score=50.0,
        computed_message="what the grader said",
    )
    grade = measured_grade().model_copy(update={"override": override, "score": 88.0})

    html = student_page(grade, Beside(DRAWING, PNG), after_due=True)

    assert "A person has set this score." in html
    assert "88 / 100 points" in Page(html).text
    assert [w for w in ("dean", "Prof", "what the grader said") if w in html] == []
    assert "Prof. Ada" in class_page([grade], {0: "students/x.html"})


# --- the class ----------------------------------------------------------------------------


def test_the_class_page_counts_what_many_did_not_understand():
    one, other = examples.deviating(), examples.stopped()
    grades = [one, one.model_copy(update={"student_id": "s9"}), other, examples.full_marks()]

    text = Page(class_page(grades, dict.fromkeys(range(4), "x.html"))).text

    assert "4 submissions" in text
    assert "2 late" in text
    assert re.search(
        r"2 bottleneck With .* convolution gives: expected 48, received 24 s2345678, s9", text
    )
    assert re.search(r"1 module-contract .* s5678901", text)
    # What only follows from the bottleneck was no misunderstanding of its own.
    assert "parameter-count-network" not in text


def test_the_class_page_has_a_column_for_each_group_of_checks_of_its_assignment():
    one = examples.full_marks()
    checks = [
        c.model_copy(update={"group": "<b>kernels"}) for c in one.checks if c.group == "shape"
    ]
    unit = one.model_copy(update={"checks": tuple(checks)})

    heads = Page(class_page([unit], {0: "x.html"})).text

    assert "<b>kernels" in heads
    assert "architecture" not in heads


def test_the_class_page_lists_submissions_that_do_not_count():
    one = examples.full_marks()
    source = one.submission.model_copy(update={"source": "<script>old.zip", "sha256": "1" * 64})
    update = {"counts": False, "superseded_by": one.submission.sha256, "submission": source}

    page = Page(class_page([one], {0: "x.html"}, others=[one.model_copy(update=update)]))

    assert "Earlier submissions that do not count" in page.text
    assert "<script>old.zip" in page.text
    assert page.tags() <= ALLOWED | {"script", "a"}


def test_the_class_page_sorts_numbers_as_numbers_and_has_a_line_for_each_verdict():
    page = the_class()

    by = [float(given["data-by"]) for given in page.of("td") if "data-by" in given]
    assert 100.0 in by
    assert -1.0 in by
    for status in GradeStatus:
        assert {"graded": "graded", "review": "needs review"}.get(status, status.value) in page.text
