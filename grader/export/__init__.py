"""Grades for other programs: JSON, Gradescope, JUnit, CSV, Canvas and Moodle gradebooks."""

from grader.export.csv import write_csv
from grader.export.gradebook import Filled, write_canvas, write_moodle
from grader.export.gradescope import write_gradescope
from grader.export.json import GRADE_FILE, load_grade, load_grades, read_json, write_json
from grader.export.junit import write_junit

__all__ = [
    "GRADE_FILE",
    "Filled",
    "load_grade",
    "load_grades",
    "read_json",
    "write_canvas",
    "write_csv",
    "write_gradescope",
    "write_json",
    "write_junit",
    "write_moodle",
]
