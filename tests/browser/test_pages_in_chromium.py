"""The pages in a real browser: harmless, readable by everybody, whole on a phone.

Without a Chromium these tests skip; GRADER_REQUIRE_BROWSER=1 makes that a failure.
"""

import os
from importlib.resources import files
from importlib.util import find_spec

import pytest

from grader.graph.drawing import Drawing, Row
from grader.report.html.classpage import class_page
from grader.report.html.student import Beside, student_page
from tests import examples
from tests.browser.chromium import DESKTOP, PHONE, REQUIRED, Chromium, program
from tests.report.test_pages import DRAWING, PNG, measured_grade
from tests.report.test_terminal import everywhere

pytestmark = pytest.mark.browser
ATTACK = (
    "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    "\"'><svg onload=\"document.title='owned'\"></style></title><style>body{display:none}</style>"
    "javascript:document.title='owned' {{ 7*7 }} {% raw %} \u202egnp\u2066 \x1b[31m \x00"
    + "x"
    * 3000
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    found = program()
    if found is None:
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(f"{REQUIRED}=1, and there is no Chromium")
        pytest.skip("there is no Chromium on this machine (apt-get install chromium)")
    return Chromium(found, tmp_path_factory.mktemp("chromium"))


def student() -> str:
    return student_page(measured_grade(), Beside(DRAWING, PNG), after_due=True, title="DenseNet")


def attacked() -> str:
    grade = everywhere(measured_grade(), ATTACK)
    row = Row(ATTACK, ATTACK, ATTACK, True, (ATTACK,) * 9)
    drawing = Drawing(ATTACK, ATTACK, (row,))
    return student_page(grade, Beside(drawing, PNG), after_due=True, title=ATTACK)


def the_class(*more) -> str:
    grades = [*(one() for one in (*examples.ALL, examples.hostile)), *more]
    return class_page(grades, {n: f"students/{n}.html" for n in range(len(grades))}, title="2027")


def attacked_class() -> str:
    return the_class(everywhere(measured_grade(), ATTACK))


# --- harmless -----------------------------------------------------------------------------


@pytest.mark.parametrize("make", [attacked, attacked_class])
def test_hostile_text_is_shown_and_nothing_of_it_runs(browser, make):
    page = browser.ask(
        make(),
        """return {
            title: document.title,
            shown: document.body.innerText.includes("document.title='owned'"),
            hidden: getComputedStyle(document.body).display,
            handlers: document.querySelectorAll("[onerror], [onload]").length,
            scripts: document.querySelectorAll("script").length,
        };""",
    )

    scripts = 1 if make is attacked else 2  # the one that asks, and the class page's own
    assert page["title"] != "owned"
    assert page | {"title": ""} == {
        "title": "", "shown": True, "hidden": "block", "handlers": 0, "scripts": scripts,
    }  # fmt: skip


@pytest.mark.parametrize("make", [student, the_class])
def test_the_policy_stops_what_would_get_into_a_page_all_the_same(browser, make):
    page = make()
    inside = (
        "<script>document.body.dataset.ran = 1</script>"
        '<img src="data:image/png;base64,x" onerror="document.body.dataset.ran = 1">'
        "<style>main { display: none }</style>"
        '<iframe srcdoc="<script>parent.document.body.dataset.ran = 1</script>"></iframe>'
    )

    shown = browser.dom(page.replace("</body>", f"{inside}</body>"))
    without = browser.dom(
        page.replace("</body>", f"{inside}</body>").replace("Content-Security-Policy", "x-none")
    )

    assert "data-ran" not in shown
    assert "data-ran" in without


def test_the_class_page_runs_its_own_script_under_its_policy(browser):
    assert "<button" in browser.dom(the_class())
    assert "<button" not in browser.dom(the_class().replace('"use strict";', '"use strict" ;'))


# --- readable -----------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "dark"), [(PHONE, False), (DESKTOP, True)])
@pytest.mark.parametrize("make", [student, attacked, the_class])
def test_axe_finds_nothing_that_keeps_a_reader_out(browser, make, size, dark):
    if find_spec("axe_core_python") is None:
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(f"{REQUIRED}=1, and axe-core-python is not installed")
        pytest.skip("axe-core-python is not installed (extra dev)")
    axe = files("axe_core_python").joinpath("axe.min.js").read_text("utf-8")

    found = browser.ask(
        make(),
        axe + """;
        const result = await axe.run(document);
        return {
            dark: matchMedia("(prefers-color-scheme: dark)").matches,
            passes: result.passes.map(rule => rule.id),
            wrong: result.violations.map(
                rule => [rule.impact, rule.id, rule.nodes.length, rule.nodes[0].html]),
        };""",
        size=size,
        dark=dark,
    )  # fmt: skip

    assert found["wrong"] == []
    assert found["dark"] == dark
    assert {"color-contrast", "document-title", "html-has-lang"} <= set(found["passes"])


@pytest.mark.parametrize("size", [(320, 640), PHONE, DESKTOP])
@pytest.mark.parametrize("make", [student, attacked, the_class, attacked_class])
def test_no_page_is_wider_than_the_screen(browser, make, size):
    width, most = browser.ask(
        make(), "return [document.documentElement.scrollWidth, window.innerWidth];", size=size
    )

    assert most == size[0]
    assert width <= most


def test_a_class_is_sorted_and_filtered_by_its_page(browser):
    found = browser.ask(
        the_class(),
        """
        const names = () => Array.from(document.querySelectorAll("#class tbody tr"))
            .filter(row => !row.hidden).map(row => row.cells[2].textContent);
        const head = Array.from(document.querySelectorAll("#class thead th"))[2];
        head.querySelector("button").click();
        const up = names();
        head.querySelector("button").click();
        const down = names(), sorted = head.getAttribute("aria-sort");
        const input = document.querySelector("#tools input");
        input.value = "S1234567";
        input.dispatchEvent(new Event("input"));
        const told = document.querySelector("#tools [role=status]").textContent.trim();
        return {up, down, sorted, left: names(), told};
        """,
    )

    numbers = [float(one) for one in found["up"] if one != "–"]
    assert numbers == sorted(numbers)
    assert found["up"][0] == "–"
    assert found["down"] == found["up"][::-1]
    assert (found["sorted"], found["left"], found["told"]) == ("descending", ["100"], "1 of 8")
