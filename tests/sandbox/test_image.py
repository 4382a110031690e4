"""The real image: built from the Dockerfile, run as its users run it, and as the sandbox does."""

from __future__ import annotations

import json
import os
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
from tests.sandbox.conftest import BASE_IMAGE, MAY_NOT_SKIP
from tests.sandbox.test_trace_in_sandbox import REFERENCE, REQUEST
from tests.workers import one_at_a_time

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
    with one_at_a_time("image"):
        engine.images.build(path=str(ROOT), tag=IMAGE, network_mode="host", rm=True, forcerm=True)
    yield engine
    engine.close()


def output(client: Any, *command: str, **options: Any) -> str:
    said: bytes = client.containers.run(
        IMAGE, list(command), network_mode="none", remove=True, stderr=True, **options
    )
    return said.decode()


def submission(folder: Path) -> Path:
    """A folder to mount, with a submission in it that anybody may read."""
    with zipfile.ZipFile(folder / "submission.zip", "w") as archive:
        archive.write(REFERENCE / "densenet.py", "densenet.py")
    folder.chmod(0o755)
    return folder


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
@pytest.mark.parametrize(
    ("user", "mode"),
    [("", "ro"), ("0", "rw")],
    ids=["as-built-and-it-may-only-read", "root"],
)
def test_a_mounted_submission_is_graded_in_the_jail_as_the_readme_says(
    client: Any, tmp_path: Path, user: str, mode: str
) -> None:
    mount = {str(submission(tmp_path)): {"bind": "/work", "mode": mode}}

    said = output(client, "submission.zip", "--no-evaluation", volumes=mount, user=user)

    assert "WITHHELD" not in said
    assert "jail" in said
    assert said.count("passed") > 3 or "GRADED" in said


@pytest.mark.tensorflow
def test_the_doctor_inside_says_that_this_image_can_grade(client: Any) -> None:
    said = json.loads(output(client, "doctor", "--json"))

    found = {reading["name"]: reading["status"] for reading in said["readings"]}
    assert said["can_grade"] is True
    assert found["jail"] == "ok"
    assert found["GPU"] == "note"  # it was built without one and asks for none


@pytest.mark.parametrize(
    "asks",
    [{"GRADER_DEVICE": "gpu"}, {"GRADER_DEVICE": "auto", "NVIDIA_VISIBLE_DEVICES": "all"}],
    ids=["as-in-an-image-for-gpus", "by-the-nvidia-runtime"],
)
def test_a_gpu_that_is_asked_for_and_not_there_is_never_made_up_for(
    client: Any, tmp_path: Path, asks: dict[str, str]
) -> None:
    import docker

    mount = {str(submission(tmp_path)): {"bind": "/work", "mode": "ro"}}

    with pytest.raises(docker.errors.ContainerError) as caught:
        output(client, "submission.zip", volumes=mount, environment=asks)
    said = caught.value.stderr.decode()
    assert caught.value.exit_status == 3
    assert "asks for a GPU, and none is visible" in said
    assert "--gpus all" in said
    assert "--device cpu" in said


@pytest.mark.tensorflow
def test_results_are_kept_in_the_mounted_folder_for_its_owner_and_by_one_key(
    client: Any, tmp_path: Path
) -> None:
    folder = submission(tmp_path)
    os.chown(folder, 1234, 1234)
    volume = client.volumes.create()
    mounts = {
        str(folder): {"bind": "/work", "mode": "rw"},
        volume.name: {"bind": "/cache", "mode": "rw"},
    }
    words = ("submission.zip", "--no-evaluation", "--results", "results")
    try:
        first, again = (output(client, *words, volumes=mounts, user="1234:1234") for _ in range(2))
        verified = output(client, "verify", "results", volumes=mounts, user="1234:1234")
    finally:
        volume.remove(force=True)

    assert "WITHHELD" not in first
    assert again == first
    assert "every grade is as it was written" in verified
    assert (folder / "results/ledger.sqlite").is_file()
    assert {p.stat().st_uid for p in (folder / "results").rglob("*")} == {1234}


def test_an_image_for_gpus_asks_for_one_and_one_for_processors_does_not() -> None:
    text = (ROOT / "Dockerfile").read_text()

    # EXTRA is cpu or gpu, as --device is.
    assert "GRADER_DEVICE=${EXTRA}" in text
    assert "ARG EXTRA=cpu" in text


def test_the_dockerfile_names_this_version() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()

    assert re.findall(r"ARG VERSION=(\S+)", dockerfile) == [__version__]


def test_the_dockerfile_uses_pip_by_hash_and_no_apt() -> None:
    text = (ROOT / "Dockerfile").read_text()

    assert "apt" not in text
    assert text.count("--require-hashes") == 2
    assert "USER 65532:65532" in text
