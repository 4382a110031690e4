"""The real image: built from the Dockerfile, run as its users run it, and as the sandbox does."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grader import __version__
from grader.errors import InfrastructureError
from grader.sandbox.contract import Stage
from grader.sandbox.docker import IMAGE, DockerSandbox, _engine

from .conftest import BASE_IMAGE, MAY_NOT_SKIP
from .test_trace_in_sandbox import REFERENCE, REQUEST

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    try:
        engine = _engine()
        engine.images.get(BASE_IMAGE)
    except InfrastructureError as error:
        if "docker" in MAY_NOT_SKIP:
            pytest.fail(str(error))
        pytest.skip(str(error))
    engine.images.build(path=str(ROOT), tag=IMAGE, network_mode="host", rm=True, forcerm=True)
    yield engine
    engine.close()


def output(client: Any, *command: str, **options: Any) -> str:
    said: bytes = client.containers.run(
        IMAGE, list(command), network_mode="none", remove=True, stderr=True, **options
    )
    return said.decode()


def test_the_image_says_what_it_is(client: Any) -> None:
    image = client.images.get(IMAGE)

    labels = image.labels
    assert labels["org.opencontainers.image.version"] == __version__
    assert "org.opencontainers.image.revision" in labels
    assert image.attrs["Config"]["User"] == "65532:65532"
    assert image.attrs["Config"]["Entrypoint"] == ["grade"]


def test_the_image_answers_as_grade(client: Any) -> None:
    assert "Usage: grade" in output(client, "--help")


def test_the_image_holds_no_solution_and_no_secret(client: Any) -> None:
    script = """
import os
for folder, _, files in os.walk("/"):
    if folder.startswith(("/proc", "/sys")): continue
    for name in files:
        if "reference_solution" in folder or name.endswith((".weights.h5", ".npz.xz")):
            print(os.path.join(folder, name))
"""

    assert output(client, "-c", script, entrypoint=["python"]).strip() == ""


def test_the_jail_holds_inside_the_image_without_root(client: Any) -> None:
    script = "from grader.sandbox.jail import jail_lack; print(jail_lack())"

    assert output(client, "-c", script, entrypoint=["python"]).strip() == "None"


@pytest.mark.tensorflow
@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_the_reference_solution_is_traced_in_a_container(client: Any, warm: bool) -> None:
    sandbox = DockerSandbox(warm=warm)
    stage = Stage("trace", REFERENCE, REQUEST)

    results = [sandbox.run(stage) for _ in range(2 if warm else 1)]
    sandbox.close()

    assert all(result.complete for result in results), [result.run for result in results]
    assert all(b'"failure":null' in result.json_frames["model"] for result in results)


@pytest.mark.tensorflow
@pytest.mark.parametrize("user", ["", "0", "1234"], ids=["as-built", "root", "another"])
def test_a_mounted_submission_is_graded_in_the_jail_as_the_readme_says(
    client: Any, tmp_path: Path, user: str
) -> None:
    with zipfile.ZipFile(tmp_path / "submission.zip", "w") as archive:
        archive.write(REFERENCE / "densenet.py", "densenet.py")
    tmp_path.chmod(0o755)
    mount = {str(tmp_path): {"bind": "/work", "mode": "rw"}}

    said = output(client, "submission.zip", "--no-evaluation", volumes=mount, user=user)

    assert "WITHHELD" not in said
    assert "jail" in said
    assert said.count("passed") > 3 or "GRADED" in said


def test_the_dockerfile_names_this_version() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()

    assert re.findall(r"ARG VERSION=(\S+)", dockerfile) == [__version__]


def test_the_dockerfile_uses_pip_by_hash_and_no_apt() -> None:
    text = (ROOT / "Dockerfile").read_text()

    assert "apt" not in text
    assert text.count("--require-hashes") == 2
    assert "USER 65532:65532" in text
