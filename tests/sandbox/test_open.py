"""Which sandbox is opened, and that the bare process never comes unasked."""

from __future__ import annotations

import pytest

from grader.errors import Cause, InfrastructureError
from grader.sandbox import open_sandbox
from grader.sandbox.docker import DockerSandbox
from grader.sandbox.jail import JailSandbox, jail_lack


def test_auto_takes_the_jail_where_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JailSandbox, "available", lambda self: None)

    assert open_sandbox("auto").isolation == "jail"


def test_auto_takes_docker_where_the_jail_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JailSandbox, "available", lambda self: "no Landlock")
    monkeypatch.setattr(DockerSandbox, "available", lambda self: None)

    assert open_sandbox("auto").isolation == "docker"


def test_auto_refuses_rather_than_grade_without_isolation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JailSandbox, "available", lambda self: "no Landlock")
    monkeypatch.setattr(DockerSandbox, "available", lambda self: "no engine")

    with pytest.raises(InfrastructureError) as caught:
        open_sandbox("auto")
    assert caught.value.cause is Cause.INFRA_SANDBOX
    assert "no Landlock" in caught.value.message
    assert "no engine" in caught.value.message
    assert "--sandbox process" in caught.value.help


def test_a_sandbox_asked_for_by_name_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JailSandbox, "available", lambda self: "no Landlock")

    with pytest.raises(InfrastructureError, match="--sandbox jail: no Landlock"):
        open_sandbox("jail")


def test_the_bare_process_is_stamped_none() -> None:
    assert open_sandbox("process").isolation == "none"


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        ("landlock.version", "Landlock"),
        ("seccomp.MACHINES", "processor"),
    ],
)
def test_a_lacking_piece_is_named(monkeypatch: pytest.MonkeyPatch, broken: str, named: str) -> None:
    from grader.inside import confine

    lacking = {} if broken == "seccomp.MACHINES" else lambda: 0
    monkeypatch.setattr(f"grader.inside.{broken}", lacking)

    assert any(named in piece for piece in confine.lacks())


def test_a_system_without_the_jail_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")

    assert "needs Linux" in (jail_lack() or "")
