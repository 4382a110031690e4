"""Two graders in one results folder: the second says who is at work, and waits for it."""

import os
import platform
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from grader.errors import InfrastructureError
from grader.ledger.database import network_file_system
from grader.ledger.lease import LEASE, hold

HOLDER = """
import sys
from pathlib import Path
from grader.ledger.lease import hold
with hold(Path(sys.argv[1]), print):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(results: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLDER, str(results)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_first_waits_for_nobody(tmp_path: Path) -> None:
    said: list[str] = []
    for _ in range(2):
        with hold(tmp_path / "results", said.append):
            pass

    assert said == []


@pytest.mark.parametrize("killed", [False, True])
def test_the_second_names_the_first_and_goes_on_when_it_has_ended(
    tmp_path: Path, killed: bool
) -> None:
    first = holder(tmp_path)
    said: list[str] = []

    def end_the_first(words: str) -> None:
        said.append(words)
        if killed:
            first.kill()
        else:
            first.communicate("")

    with hold(tmp_path, end_the_first):
        ours = (tmp_path / LEASE).read_text()
    first.communicate()

    (words,) = said
    assert f"held by process {first.pid} on {platform.node()} since" in words
    assert ours.startswith(f"process {os.getpid()} on")


def test_two_threads_of_one_program_do_not_hold_it_together(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        with hold(tmp_path, lambda words: None):
            inside.append(1)
            most.append(len(inside))
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most == [1] * 8


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(InfrastructureError), hold(tmp_path / "file" / "results", print):
        pass


MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /home rw - nfs4 server:/home rw
31 30 8:2 / /home/me/fast\\040disk rw - xfs /dev/sdb rw
32 22 0:41 / /mnt/share rw shared:5 - fuse.sshfs me@server: rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/srv/results", None),
        ("/home/me/results", "nfs4"),
        ("/homes/results", None),
        ("/home/me/fast disk/results", None),
        ("/mnt/share", "fuse.sshfs"),
    ],
)
def test_a_network_file_system_is_known_by_where_it_is_mounted(
    monkeypatch: pytest.MonkeyPatch, folder: str, kind: str | None
) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: MOUNTS)

    assert network_file_system(Path(folder)) == kind
