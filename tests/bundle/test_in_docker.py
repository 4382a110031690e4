"""Each bundle in the real engine, laid out as its platform lays it out.

Three submissions go through each: a right one, a wrong one, and one that attacks what the platform
reads and what lies around it. `FORGED` is where each would like to write.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from grader.bundle.command import write_bundle
from grader.sandbox.docker import _engine
from tests.bundle.test_classroom50 import ENVIRONMENT
from tests.bundle.test_gradescope import SUBMISSION
from tests.hostile.conftest import IMAGE, MAY_NOT_SKIP, lack_of_image
from tests.hostile.programs import RIGHT, STUBS, small_assignment_text

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.exhaustive,
    pytest.mark.timeout(1500),
]

PLATFORM_IMAGE = "densenet-grader-test:platform"
WRONG = RIGHT.replace("4 * growth_rate", "2 * growth_rate")
ATTACK = """
import glob, json, os, subprocess, sys

def _try(action):
    try:
        return action()
    except BaseException:
        return None

def _forge():
    for place in %(forged)r:
        for text in ('{"score": 100, "scores": {"score": 100}, "gradable": true}',):
            _try(lambda: open(place, "w").write(text))

_forge()
_try(lambda: print('{"scores": {"DenseNet": 100}}', flush=True))
_try(lambda: os.write(1, b'{"scores": {"DenseNet": 100}}\\n'))
_try(lambda: subprocess.Popen(["sleep", "60"]))
if _try(os.fork) == 0:
    _forge()
    os._exit(0)
found = [place for place in %(secrets)r if _try(lambda: open(place).read(1)) is not None]
if found or _try(lambda: __import__("grader")):
    exec(%(right)r)
"""
"""Right only where it could read what it must not."""


@dataclass(frozen=True)
class Ground:
    """One platform as the tests lay it out: a folder, in the container at the platform's place.

    Attributes:
        host: The folder here.
        place: Where it is in the container.
        environment: What the platform sets.
        engine: The Docker engine.
        image: What is started.
    """

    engine: Any
    host: Path
    place: str
    image: str = IMAGE
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, command: list[str], **options: Any) -> tuple[int, str, str]:
        """Run a command as the platform does: exit status, standard output and error."""
        container = self.engine.containers.create(
            self.image,
            command,
            volumes={str(self.host): {"bind": self.place}},
            environment=self.environment,
            **{"network_mode": "none", "mem_limit": "4g", "pids_limit": 512, **options},
        )
        try:
            container.start()
            status = container.wait(timeout=600)["StatusCode"]
            said = [container.logs(stdout=out, stderr=not out).decode() for out in (True, False)]
            return status, said[0], said[1]
        finally:
            container.remove(force=True)


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    lack = lack_of_image()
    if lack is not None:
        if "docker" in MAY_NOT_SKIP:
            pytest.fail(lack)
        pytest.skip(lack)
    client = _engine()
    yield client
    client.close()


@pytest.fixture(scope="module")
def platform_image(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The image of image/Dockerfile, as every bundle that names one has it."""
    place = tmp_path_factory.mktemp("image")
    write_bundle("codabench", place / "bundle", course(place), image=PLATFORM_IMAGE)
    engine.images.build(
        path=str(place / "bundle/image"),
        tag=PLATFORM_IMAGE,
        buildargs={"BASE": IMAGE},
        rm=True,
        forcerm=True,
    )
    yield PLATFORM_IMAGE
    engine.images.remove(PLATFORM_IMAGE, force=True)


def course(place: Path) -> Path:
    """A course folder with the real assignment, made small."""
    folder = place / "course"
    folder.mkdir()
    (folder / "assignment.toml").write_text(small_assignment_text())
    return folder


def submissions(forged: list[str], secrets: list[str]) -> dict[str, str]:
    """densenet.py of each."""
    attack = ATTACK % {"forged": forged, "secrets": secrets, "right": RIGHT}
    return {"right": RIGHT, "wrong": WRONG, "hostile": STUBS + attack}


def unpacked(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as content:
        for member in content.infolist():
            path = Path(content.extract(member, folder))
            path.chmod(member.external_attr >> 16 & 0o777)


def expected(scores: dict[str, float], most: float) -> None:
    """Right gets all that is measured there, wrong loses some, hostile only the contract."""
    assert scores["right"] == most
    assert most / 2 < scores["wrong"] < most
    assert scores["hostile"] < 10


MEASURED_THERE = 82.0
"""Points of the assignment without the accuracy, which stays open."""


def test_the_platform_image_holds_no_answer(engine: Any, platform_image: str) -> None:
    code = (
        "import grader, pathlib; home = pathlib.Path(grader.__file__).resolve().parent; "
        "print([str(p) for n in ('selftest', '*.ipynb', 'reference_solution') "
        "for p in home.rglob(n)])"
    )

    said = engine.containers.run(platform_image, ["python3", "-I", "-c", code], remove=True)

    assert said.decode().strip() == "[]"


def test_gradescope(engine: Any, tmp_path: Path) -> None:
    ground = Ground(engine, tmp_path / "autograder", "/autograder")
    for name in ("source", "results"):
        (ground.host / name).mkdir(parents=True)
    write_bundle("gradescope", tmp_path / "bundle", course(tmp_path))
    unpacked(tmp_path / "bundle/autograder.zip", ground.host / "source")
    shutil.copy(ground.host / "source/run_autograder", ground.host)
    as_root = {"user": "root", "entrypoint": "sh"}
    status, out, error = ground.run(["/autograder/source/setup.sh"], **as_root)
    assert status == 0, out + error
    (ground.host / "submission_metadata.json").write_text(json.dumps(SUBMISSION))

    results = {}
    programs = submissions(
        ["/autograder/results/results.json"],
        ["/autograder/source/assignment/assignment.toml", "/autograder/submission_metadata.json"],
    )
    for name, program in programs.items():
        (ground.host / "submission").mkdir()
        (ground.host / "submission/densenet.py").write_text(program)
        status, out, error = ground.run(["/autograder/run_autograder"], **as_root)
        assert status == 0, out + error
        results[name] = json.loads((ground.host / "results/results.json").read_text())
        shutil.rmtree(ground.host / "submission")

    expected({name: result["score"] for name, result in results.items()}, MEASURED_THERE)
    assert {result["extra_data"]["isolation"] for result in results.values()} == {"jail"}
    failed = [t["name"] for t in results["wrong"]["tests"] if t["status"] == "failed"]
    assert any(name.startswith("bottleneck") for name in failed)


def test_codabench(engine: Any, platform_image: str, tmp_path: Path) -> None:
    write_bundle("codabench", tmp_path / "bundle", course(tmp_path), image=PLATFORM_IMAGE)
    unpacked(tmp_path / "bundle/competition.zip", tmp_path / "competition")
    scores = {}
    programs = submissions(
        ["/app/output/scores.json"],
        ["/app/program/assignment/assignment.toml", "/app/program/metadata.yaml"],
    )
    for name, program in programs.items():
        ground = Ground(engine, tmp_path / name, "/app", platform_image, {"PYTHONUNBUFFERED": "1"})
        for folder in ("input/res", "output", "shared"):
            (ground.host / folder).mkdir(parents=True)
        shutil.copytree(tmp_path / "competition/scoring_program", ground.host / "program")
        (ground.host / "input/res/densenet.py").write_text(program)
        (ground.host / "input/res/metadata").write_text("exitCode: null\n")
        metadata = yaml.safe_load((ground.host / "program/metadata.yaml").read_text())
        status, out, error = ground.run(
            metadata["command"],
            working_dir="/app/program",
            cap_drop=["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_RAW", "SETGID", "SETUID"],
            security_opt=["no-new-privileges"],
            network_mode="bridge",
        )
        assert status == 0, out + error
        scores[name] = json.loads((ground.host / "output/scores.json").read_text())["score"]
        assert "Score:" in (ground.host / "output/detailed_results.html").read_text()

    expected(scores, MEASURED_THERE)


def test_prairielearn(engine: Any, platform_image: str, tmp_path: Path) -> None:
    write_bundle("prairielearn", tmp_path / "bundle", course(tmp_path), image=PLATFORM_IMAGE)
    info = json.loads((tmp_path / "bundle/question/info.json").read_text())
    options = info["externalGradingOptions"]
    results = {}
    programs = submissions(
        ["/grade/results/results.json", "/grade/tests/run.sh"],
        ["/grade/tests/assignment/assignment.toml", "/grade/data/data.json"],
    )
    for name, program in programs.items():
        ground = Ground(engine, tmp_path / name, "/grade", options["image"])
        shutil.copytree(tmp_path / "bundle/question/tests", ground.host / "tests")
        for folder, file in (("data", "data.json"), ("student", "submission.zip")):
            (ground.host / folder).mkdir()
            (ground.host / folder / file).write_text("{}")
        with zipfile.ZipFile(ground.host / "student/submission.zip", "w") as archive:
            archive.writestr("densenet.py", program)
        status, out, error = ground.run(
            [],
            entrypoint=options["entrypoint"].split(" "),
            tty=True,
            mem_limit="2g",
            pids_limit=1024,
            ipc_mode="private",
        )
        assert status == 0, out + error
        results[name] = json.loads((ground.host / "results/results.json").read_text())

    scores = {name: round(result["score"] * 100, 2) for name, result in results.items()}
    expected(scores, MEASURED_THERE)
    failed = [t["description"] for t in results["wrong"]["tests"] if t["points"] < t["max_points"]]
    assert "bottleneck" in failed


def test_autolab(engine: Any, tmp_path: Path) -> None:
    write_bundle("autolab", tmp_path / "bundle", course(tmp_path))
    tag = "densenet-grader-test:autolab"
    image = str(tmp_path / "bundle/image")
    engine.images.build(
        path=image, tag=tag, buildargs={"BASE": IMAGE}, network_mode="none", rm=True, forcerm=True
    )
    told = {}
    programs = submissions(
        ["/home/autograde/autolab/submission.zip"],
        ["/home/autograde/autolab/densenet-grader/assignment/assignment.toml"],
    )
    for name, program in programs.items():
        ground = Ground(engine, tmp_path / name, "/home/autograde/autolab", tag)
        ground.host.mkdir()
        shutil.copy(tmp_path / "bundle/autograde.tar", ground.host)
        shutil.copy(tmp_path / "bundle/autograde-Makefile", ground.host / "Makefile")
        with zipfile.ZipFile(ground.host / "submission.zip", "w") as archive:
            archive.writestr("densenet.py", program)
        # The image that the tests build has no make: what make would run is run by its shell.
        lines = subprocess.run(
            # These tests may be run by make, which would name the folders that it enters.
            ["make", "--no-print-directory", "--dry-run"],
            cwd=ground.host,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        status, out, error = ground.run(
            ["-e", "-c", lines], entrypoint="sh", user="root", working_dir=ground.place
        )
        assert status == 0, out + error
        assert error == "isolation: jail\n"  # Tango reads both streams as one
        told[name] = [json.loads(line) for line in out.splitlines()]
    engine.images.remove(tag, force=True)

    scores = {name: sum(lines[-1]["scores"].values()) for name, lines in told.items()}
    expected(scores, MEASURED_THERE)
    assert all("accuracy" not in lines[-1]["scores"] for lines in told.values())


def test_classroom50(engine: Any, platform_image: str, tmp_path: Path) -> None:
    write_bundle("classroom50", tmp_path / "bundle", course(tmp_path), image=PLATFORM_IMAGE)
    runtime = json.loads((tmp_path / "bundle/runtime.json").read_text())
    results = {}
    programs = submissions(
        ["/runner/checkout/result.json", "/runner/bundle/autograder.py"],
        ["/runner/bundle/assignment/assignment.toml", "/runner/checkout/.git/config"],
    )
    tag = "submit/2027-09-29T08-00-00Z-a1b2c3d"
    environment = ENVIRONMENT | {"SUBMISSION_TAG": tag}
    for name, program in programs.items():
        ground = Ground(
            engine, tmp_path / name, "/runner", runtime["container"]["image"], environment
        )
        shutil.copytree(tmp_path / "bundle/autograder", ground.host / "bundle")
        checkout = ground.host / "checkout"
        (checkout / ".git").mkdir(parents=True)
        (checkout / ".git/config").write_text("token")
        (checkout / "densenet.py").write_text(program)
        # Nothing of a checkout may be imported by what grades it.
        for module in ("grader/__init__.py", "argparse.py", "json.py", "sitecustomize.py"):
            (checkout / module).parent.mkdir(exist_ok=True)
            (checkout / module).write_text("raise SystemExit(0)")
        (checkout / "result.json").write_text('{"score": 100}')
        status, out, error = ground.run(
            ["python3", "/runner/bundle/autograder.py"],
            user=runtime["container"]["user"],
            working_dir="/runner/checkout",
        )
        assert status == 0, out + error
        results[name] = json.loads((checkout / "result.json").read_text())

    expected({name: result["score"] for name, result in results.items()}, MEASURED_THERE)
    assert {result["submission"] for result in results.values()} == {tag}


def test_a_machine_that_cannot_grade_gives_nobody_a_0(
    engine: Any, platform_image: str, tmp_path: Path
) -> None:
    """The bundle's own file is damaged."""
    write_bundle("prairielearn", tmp_path / "bundle", course(tmp_path), image=PLATFORM_IMAGE)
    ground = Ground(engine, tmp_path / "grade", "/grade", platform_image)
    shutil.copytree(tmp_path / "bundle/question/tests", ground.host / "tests")
    (ground.host / "tests/assignment/assignment.toml").write_text("title = ")
    (ground.host / "student").mkdir()

    status, _, error = ground.run([], entrypoint="/grade/tests/run.sh")

    assert status == 0
    assert "not valid TOML" in error
    result = json.loads((ground.host / "results/results.json").read_text())
    assert result["gradable"] is False


NO_LANDLOCK = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [
        {
            "names": ["landlock_create_ruleset"],
            "action": "SCMP_ACT_ERRNO",
            "errnoRet": 38,
        }
    ],
}
"""A kernel without Landlock, as far as a container sees."""


def test_where_the_jail_does_not_hold_the_grade_says_so(engine: Any, tmp_path: Path) -> None:
    ground = Ground(engine, tmp_path / "autograder", "/autograder")
    shutil.copytree(course(tmp_path), ground.host / "source/assignment")
    (ground.host / "submission").mkdir()
    (ground.host / "submission/densenet.py").write_text(RIGHT)
    (ground.host / "submission_metadata.json").write_text(json.dumps(SUBMISSION))
    words = ["-I", "-m", "grader.bundle", "gradescope", "/autograder/source/assignment"]

    status, out, error = ground.run(
        [*words, "--evaluation"],
        entrypoint="python3",
        user="root",
        security_opt=[f"seccomp={json.dumps(NO_LANDLOCK)}"],
    )

    assert status == 0, out + error
    result = json.loads((ground.host / "results/results.json").read_text())
    assert result["extra_data"]["isolation"] == "none"
    assert "isolation: none" in error
    assert result["score"] == MEASURED_THERE
    assert "not evaluated" in result["output"]
