"""compose.yaml says what the documents say, in the words of the Compose specification."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return found


def test_each_service_builds_its_extra_and_has_no_powers(compose: dict[str, Any]) -> None:
    extras = {name: s["build"]["args"]["EXTRA"] for name, s in compose["services"].items()}

    assert extras == {"grade": "gpu", "grade-cpu": "cpu"}
    for service in compose["services"].values():
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in service
        assert service["image"].startswith("densenet-grader:")
        assert not any("docker.sock" in volume for volume in service["volumes"])


def test_the_service_for_gpus_reserves_them_and_the_other_none(compose: dict[str, Any]) -> None:
    reserved = compose["services"]["grade"]["deploy"]["resources"]["reservations"]["devices"]

    assert reserved == [{"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}]
    assert "deploy" not in compose["services"]["grade-cpu"]


def test_key_kernels_and_data_are_kept_between_containers(compose: dict[str, Any]) -> None:
    kept = re.findall(r"=(/cache/[\w./]+)", (ROOT / "Dockerfile").read_text())

    assert set(kept) == {f"/cache/{n}" for n in ("course.key", "cuda", "jax", "keras", "results")}
    assert set(compose["volumes"]) == {"cache"}
    for service in compose["services"].values():
        assert service["volumes"] == [".:/work", "cache:/cache"]
        assert service["working_dir"] == "/work"
