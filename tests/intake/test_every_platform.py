"""Forty students with difficult names, as each platform would write their submissions."""

import csv
import itertools
import re
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from grader.intake import discover
from grader.intake.bulk import holds_a_class
from grader.intake.policy import DEFAULT
from grader.intake.roster import Roster, load_roster
from tests.intake.test_bulk import zipped
from tests.intake.test_discovery import tree

ZONE = ZoneInfo("Asia/Kolkata")
FIRST = ("Jane", "María José", "Jean-Luc", "Émile", "Văn An", "Zoë", "अनन्या", "J.")
LAST = ("Doe", "d'Arc", "van der Berg", "Müller", "李")
PEOPLE = [
    {
        "first": first,
        "last": last,
        "bare": f"{first} {last}".replace("'", ""),
        "squeezed": re.sub(r"\W", "", f"{last}{first}").lower(),
        "login": f"user{number}",
        "mail": f"user_{number}@uni.edu",
        "sid": str(2027000 + number),
        "number": str(48000 + number),
        "minute": f"{10 + number}",
    }
    for number, (first, last) in enumerate(itertools.product(FIRST, LAST))
]
WRITTEN = {
    "canvas": "{squeezed}_{number}_99{number}_submission.zip",
    "moodle": "{bare}_{number}_assignsubmission_file_/submission.zip",
    "moodle, flat": "{bare}_{number}_assignsubmission_file_submission.zip",
    "moodle, by groups": "Team 1-{bare}_{number}_assignsubmission_file_/submission.zip",
    "blackboard": "HW 3_{login}_attempt_2027-09-30-21-{minute}-41_submission.zip",
    "brightspace": "{number}-77 - {first} {last} - Sep 30, 2027 9{minute} PM/submission.zip",
    "brightspace, flat": "{number}-77 - {first} {last} - Sep 30, 2027 9{minute} PM - hw.zip",
    "sakai": "HW/{last}, {first}({login})/Submission attachment(s)/submission.zip",
    "github": "hw-submissions/hw-{login}/densenet.py",
    "google": "{first} {last} - submission.zip",
    "google, loose": "{first} {last} - densenet.py",
    "autolab": "{mail}_3_submission.zip",
    "prairielearn": "{mail}_1_densenet_1_3_densenet.py",
    "teams": "Submitted files/{first} {last}/DenseNet/Version 1/submission.zip",
    "teams, family first": "Submitted files/{last}, {first}/DenseNet/Version 2/densenet.py",
    "schoology": "{last}, {first} - {number}/Revision 1 - On time/submission.zip",
    "submitty": "hw1/{login}/1/densenet.py",
    "ilias": "Exercise 1/{last}_{first}_{login}_{number}/submission.zip",
    "artemis": "course-hw-{login}-{number}.repository/densenet.py",
    "openolat": "{last}_{first}_{login}/2_submissions/submission.zip",
    "vpl": "{first} {last} {number} {login}/2027-09-30-21-{minute}-41/densenet.py",
    "folders": "{last}, {first}/submission.zip",
    "archives": "{first} {last}.zip",
    "modules": "{login}_densenet.py",
    "numbers first": "{sid} {first} {last}/densenet.py",
    "login in brackets": "{first} {last} ({login})/densenet.py",
    "date first": "2027-09-30-22-58_{login}.zip",
    "assignment first": "hw3_{login}.zip",
}


def roster(tmp_path: Path) -> Roster:
    with (tmp_path / "roster.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["SID", "First Name", "Last Name", "Email", "login", "platform_id"])
        table.writerows(
            [p[key] for key in ("sid", "first", "last", "mail", "login", "number")] for p in PEOPLE
        )
    return load_roster(tmp_path / "roster.csv", ZONE)


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_each_student_is_named_rightly_and_apart(tmp_path: Path, written: str) -> None:
    names = [written.format_map(person) for person in PEOPLE]
    tree(tmp_path / "class", *names)

    alone = discover([tmp_path / "class"], zone=ZONE)
    known = discover([tmp_path / "class"], zone=ZONE, roster=roster(tmp_path))

    assert len(alone.items) == len(known.items) == len(PEOPLE)
    assert all(item.identity.person is None for item in (*alone.items, *known.items))
    for item in known.items:
        place = item.path.relative_to(tmp_path / "class").as_posix()
        (at,) = [at for at, name in enumerate(names) if f"{name}/".startswith(f"{place}/")]
        assert item.identity.student_id == PEOPLE[at]["sid"]
    assert holds_a_class(zipped(tmp_path / "download.zip", *names), DEFAULT)
