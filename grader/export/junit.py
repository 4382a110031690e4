"""Grades as JUnit XML, for CI systems: a suite for each submission, a case for each check.

It is for those who grade: it holds the whole class, and every check whatever its visibility. Give
no student this file.

Source: Jenkins's junit-10.xsd (xUnit plugin), which what pytest and Maven write satisfies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from grader.domain import CheckResult, Grade, GradeStatus, Outcome
from grader.export.files import write_out
from grader.report.feedback import check_lines
from grader.report.text import safe_line

_ELEMENTS = {Outcome.FAILED: "failure", Outcome.SKIPPED: "skipped", Outcome.ERROR: "error"}
_COUNTS = {"failure": "failures", "skipped": "skipped", "error": "errors"}


def to_junit(grades: Iterable[Grade]) -> bytes:
    """Grades as a JUnit XML document in UTF-8.

    What could not be graded is a suite with one case, "submission", that failed (rejected) or
    could not be run (withheld, review).
    """
    suites = [_suite(grade) for grade in grades]
    root = ET.Element("testsuites", {"name": "grades"} | _totals(suites))
    root.extend(suites)
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def write_junit(grades: Iterable[Grade], file: Path) -> None:
    """Write JUnit XML, all or nothing.

    Raises:
        UsageError: The place cannot be written to.
        InfrastructureError: The disk failed or is full.
    """
    write_out(Path(file), to_junit(grades))


def _suite(grade: Grade) -> ET.Element:
    cases = [_case(check) for check in grade.checks]
    if grade.status is not GradeStatus.GRADED:
        cases.append(_submission_case(grade))
    suite = ET.Element("testsuite", name=safe_line(grade.student_id, 100))
    properties = ET.SubElement(suite, "properties")
    facts = {
        "status": grade.status.value,
        "max_score": f"{grade.max_score:g}",
        "source": safe_line(grade.submission.source, 200),
    }
    if grade.status is GradeStatus.GRADED:
        facts["score"] = f"{grade.score:g}"
    for name, value in facts.items():
        ET.SubElement(properties, "property", name=name, value=value)
    suite.extend(cases)
    for name, count in _counts(cases).items():
        suite.set(name, str(count))
    return suite


def _case(check: CheckResult) -> ET.Element:
    case = ET.Element(
        "testcase", classname=safe_line(check.group, 40), name=safe_line(check.name, 60)
    )
    element = _ELEMENTS.get(check.outcome)
    if element is not None:
        message = safe_line(check.rationale or check.title, 300)
        child = ET.SubElement(case, element, message=message, type=check.outcome.value)
        child.text = "\n".join(check_lines(check))
    return case


def _submission_case(grade: Grade) -> ET.Element:
    case = ET.Element("testcase", classname="submission", name="submission")
    element = "failure" if grade.status is GradeStatus.REJECTED else "error"
    message = safe_line(grade.message or grade.status.value, 400)
    child = ET.SubElement(case, element, message=message)
    child.set("type", grade.cause.value if grade.cause else grade.status.value)
    child.text = safe_line(grade.help or "", 400)
    return case


def _counts(cases: Sequence[ET.Element]) -> dict[str, int]:
    counts = {"tests": len(cases), "failures": 0, "errors": 0, "skipped": 0}
    for case in cases:
        for element, name in _COUNTS.items():
            counts[name] += case.find(element) is not None
    return counts


def _totals(suites: Sequence[ET.Element]) -> dict[str, str]:
    # The schemas of Jenkins and of others know no "skipped" for all suites together.
    names = ("tests", "failures", "errors")
    return {name: str(sum(int(suite.get(name, "0")) for suite in suites)) for name in names}
