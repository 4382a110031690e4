"""Builds what students install: the grader without the answer.

    python student_wheel.py dist/student         (or: make student-wheel)

The plain wheel is for instructors: it holds the reference solution with its weights, the right
networks of the self-test, and the notebook with the solutions. None of them is in this one, and
nothing that a student runs needs them. The units of the course go without their references.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parent
ANSWERS = ("reference_solution", "assignment/source", "assignment/units")
"""Folders beside the package that hold the answer."""
ANSWERS_IN_PACKAGE = ("/grader/selftest",)
OF_A_UNIT = ("assignment.toml", "README.md", "figures", "template", "public.json.gz")
"""What students have of each unit of the course."""


def student_config() -> dict[str, Any]:
    """pyproject.toml, less the answers. One that is not found is an error."""
    config: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wheel = config["tool"]["hatch"]["build"]["targets"]["wheel"]
    for folder in ANSWERS:
        del wheel["force-include"][folder]
    for unit in sorted((ROOT / "assignment" / "units").glob("*/assignment.toml")):
        for part in OF_A_UNIT:
            source = f"assignment/units/{unit.parent.name}/{part}"
            if (ROOT / source).exists():
                wheel["force-include"][source] = f"grader/_data/{source}"
    for folder in ANSWERS_IN_PACKAGE:
        if not (ROOT / folder.lstrip("/")).is_dir():
            raise SystemExit(f"{folder}: expected a folder of the checkout, found none.")
    wheel["exclude"] = [*wheel.get("exclude", ()), *ANSWERS_IN_PACKAGE]
    return config


def build(folder: Path) -> Path:
    """Build the wheel into a folder and return its path."""
    builder = WheelBuilder(str(ROOT), config=student_config())
    (wheel,) = builder.build(directory=str(folder), versions=["standard"])
    return Path(wheel)


if __name__ == "__main__":
    print(build(Path(sys.argv[1]).resolve()))
