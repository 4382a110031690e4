"""What may be read is carved out, and the filter says what its tables say."""

from __future__ import annotations

import errno
import platform
import struct
from pathlib import Path

import pytest

from grader.inside import landlock, seccomp, syscalls

ALLOW, KILL = 0x7FFF0000, 0x80000000
REFUSE, UNKNOWN = 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS
REFUSED_CLOCK = 0x50000 | errno.EINVAL
DONE = 0x50000
"""Answered as if it had been done."""


def process_clock(pid: int, kind: int) -> int:
    """Return a process's clock as the C library passes it: 32 bits, sign extended or not."""
    return ((~pid) << 3 | kind) & (2**64 - 1 if kind else 2**32 - 1)


def verdict(
    machine: str, number: int, *arguments: int, architecture: int | None = None, pid: int = 7
) -> int:
    """Run the filter as the kernel would: classic BPF over struct seccomp_data."""
    own = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[machine]
    padded = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("=IIQ6Q", number, architecture or own, 0, *padded)
    program = seccomp.filter_program(machine, pid, syscalls)
    at = accumulator = 0
    while True:
        code, if_true, if_false, operand = program[at]
        at += 1
        match code:
            case 0x20:
                accumulator = struct.unpack_from("=I", data, operand)[0]
            case 0x54:
                accumulator &= operand
            case 0x15:
                at += if_true if accumulator == operand else if_false
            case 0x35:
                at += if_true if accumulator >= operand else if_false
            case 0x06:
                return operand
            case _:
                raise AssertionError(f"unknown instruction {code:#x}")


def number_of(name: str, machine: str) -> int:
    tables = {**syscalls.ALLOWED, **syscalls.GUARDED, **syscalls.REFUSED, **syscalls.FATAL}
    number = tables[name][0 if machine == "x86_64" else 1]
    assert number is not None
    return number


machines = pytest.mark.parametrize("machine", ["x86_64", "aarch64"])


@machines
def test_every_call_gets_the_verdict_of_its_table(machine: str) -> None:
    column = 0 if machine == "x86_64" else 1
    expected = ((syscalls.ALLOWED, ALLOW), (syscalls.REFUSED, REFUSE), (syscalls.FATAL, KILL))

    for table, wanted in expected:
        for name, entry in table.items():
            number = entry[column]
            if number is not None:
                assert verdict(machine, number) == wanted, name


@machines
def test_no_number_stands_in_two_tables(machine: str) -> None:
    column = 0 if machine == "x86_64" else 1
    tables = (syscalls.ALLOWED, syscalls.GUARDED, syscalls.REFUSED, syscalls.FATAL)
    numbers = [e[column] for t in tables for e in t.values() if e[column] is not None]

    assert len(numbers) == len(set(numbers))


@machines
def test_every_guarded_call_has_a_guard(machine: str) -> None:
    assert set(seccomp._guards(7)) == set(syscalls.GUARDED)


@machines
@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("kill", (7, 15), ALLOW),
        ("kill", (8, 0), REFUSE),
        ("kill", (0, 15), REFUSE),
        ("kill", (2**32 - 1, 15), REFUSE),
        ("kill", (2**64 - 7, 15), REFUSE),
        ("tgkill", (7, 9, 6), ALLOW),
        ("tgkill", (8, 9, 6), REFUSE),
        ("prlimit64", (0, 7), ALLOW),
        ("prlimit64", (1, 7), REFUSE),
        ("clone", (0x3D0F00,), ALLOW),
        ("clone", (17,), REFUSE),
        ("clone", (0x10000 | 0x10000000,), REFUSE),
        ("clone", (0x20000000,), REFUSE),
        ("clone", (0x3D0F00 & ~0x400,), REFUSE),
        ("clone3", (0, 88), UNKNOWN),
        ("close_range", (3, 9, 4), ALLOW),
        ("close_range", (3, 9, 2), REFUSE),
        ("openat", (0, 0, 0), ALLOW),
        ("openat", (0, 0, 0o1 | 0o100 | 0o1000), ALLOW),
        ("openat", (0, 0, 0o1000), REFUSE),
        ("openat", (0, 0, 0o20200000 | 2), 0x50000 | errno.EOPNOTSUPP),
        ("fcntl", (3, 3), ALLOW),
        ("fcntl", (3, 8), REFUSE),
        ("fcntl", (3, 10), REFUSE),
        ("fcntl", (3, 15), REFUSE),
        ("ioctl", (0, 0x5401), ALLOW),
        ("ioctl", (0, 0x5412), 0x50000 | errno.ENOTTY),
        ("ioctl", (0, 0x8901), 0x50000 | errno.ENOTTY),
        ("prctl", (15,), ALLOW),
        ("prctl", (1,), REFUSE),
        ("prctl", (22,), REFUSE),
        ("prctl", (36,), REFUSE),
        ("socketpair", (1, 1), ALLOW),
        ("socketpair", (1, 1 | 0o2000000), ALLOW),
        ("socketpair", (1, 2), REFUSE),
        ("socketpair", (2, 1), REFUSE),
        ("fcntl", (3, 0), ALLOW),
        ("fcntl", (3, 4, 0o4000), ALLOW),
        ("fcntl", (3, 1030), ALLOW),
        ("fcntl", (3, 5), REFUSE),
        ("fcntl", (3, 6), DONE),
        ("fcntl", (3, 7), DONE),
        ("fcntl", (3, 37), DONE),
        ("fcntl", (3, 1024, 1), REFUSE),
        ("fcntl", (3, 1025), REFUSE),
        ("fcntl", (3, 1026), REFUSE),
        ("fcntl", (3, 1031), REFUSE),
        ("flock", (3, 2), DONE),
        ("futex", (0, 0), ALLOW),
        ("futex", (0, 128 | 1), ALLOW),
        ("futex", (0, 256 | 128 | 9), ALLOW),
        ("futex", (0, 6), UNKNOWN),
        ("futex", (0, 128 | 6), UNKNOWN),
        ("futex", (0, 13), UNKNOWN),
        ("setsockopt", (3, 1, 7), ALLOW),
        ("setsockopt", (3, 1, 26), REFUSE),
        ("setsockopt", (3, 1, 50), REFUSE),
        ("setsockopt", (3, 6, 7), REFUSE),
        ("getsockopt", (3, 1, 3), ALLOW),
        ("getsockopt", (3, 1, 77), REFUSE),
        ("getpgid", (0,), ALLOW),
        ("getpgid", (7,), ALLOW),
        ("getpgid", (8,), REFUSE),
        ("getsid", (8,), REFUSE),
        ("getpriority", (0, 0), ALLOW),
        ("getpriority", (0, 8), REFUSE),
        ("getpriority", (2, 0), REFUSE),
        ("sched_getaffinity", (0,), ALLOW),
        ("sched_getaffinity", (7,), ALLOW),
        ("sched_getaffinity", (8,), UNKNOWN),
        ("sched_getscheduler", (8,), UNKNOWN),
        ("sched_getparam", (8,), UNKNOWN),
        ("sched_rr_get_interval", (8,), UNKNOWN),
        ("clock_gettime", (1,), ALLOW),
        ("clock_gettime", (process_clock(0, 2),), ALLOW),
        ("clock_gettime", (process_clock(7, 2),), ALLOW),
        ("clock_gettime", (process_clock(8, 2),), REFUSED_CLOCK),
        ("clock_gettime", (process_clock(1, 0),), REFUSED_CLOCK),
        ("clock_gettime", (process_clock(8, 4 | 2),), ALLOW),
        ("clock_getres", (process_clock(8, 2),), REFUSED_CLOCK),
        ("clock_nanosleep", (process_clock(8, 2),), REFUSED_CLOCK),
        ("timer_create", (process_clock(8, 1),), REFUSED_CLOCK),
        ("timer_create", (1,), ALLOW),
    ],
)
def test_a_guard_looks_at_the_arguments(
    machine: str, name: str, arguments: tuple[int, ...], expected: int
) -> None:
    assert verdict(machine, number_of(name, machine), *arguments) == expected


@pytest.mark.parametrize(
    ("name", "flags", "expected"), [("open", 0, ALLOW), ("open", 0o1000, REFUSE)]
)
def test_the_old_open_is_guarded_too(name: str, flags: int, expected: int) -> None:
    assert verdict("x86_64", number_of(name, "x86_64"), 0, flags) == expected


@machines
@pytest.mark.parametrize("number", [470, 1000, 0x3FFFFFFF])
def test_an_unknown_call_does_not_exist(machine: str, number: int) -> None:
    assert verdict(machine, number) == UNKNOWN


def test_calls_of_another_architecture_end_the_program() -> None:
    assert verdict("x86_64", 39, architecture=0x40000003) == KILL
    assert verdict("x86_64", 0x40000000 | 39) == KILL


@pytest.mark.skipif(platform.machine() != "x86_64", reason="headers of x86-64")
def test_numbers_are_the_kernels() -> None:
    header = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    if not header.exists():
        pytest.skip("the kernel's headers are not installed")
    lines = (line.split() for line in header.read_text().splitlines())
    kernel = {w[1][5:]: int(w[2]) for w in lines if w[:1] == ["#define"] and len(w) == 3}
    tables = {**syscalls.ALLOWED, **syscalls.GUARDED, **syscalls.REFUSED, **syscalls.FATAL}

    ours = {name: entry[0] for name, entry in tables.items() if name in kernel}
    assert ours == {name: kernel[name] for name in ours}


# --- carving ------------------------------------------------------------------------------


def test_a_folder_without_the_hole_is_taken_whole(tmp_path: Path) -> None:
    assert landlock.carve([str(tmp_path)], "/elsewhere") == ([str(tmp_path)], [])


def test_the_grader_is_left_out_of_the_libraries(tmp_path: Path) -> None:
    site = tmp_path / "lib" / "site-packages"
    for name in ("keras", "grader/inside", "numpy"):
        (site / name).mkdir(parents=True)

    whole, names = landlock.carve([str(tmp_path / "lib"), str(site)], str(site / "grader"))

    assert whole == [str(site / "keras"), str(site / "numpy")]
    assert names == [str(tmp_path / "lib"), str(site)]


def test_a_link_into_the_hole_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "grader").mkdir()
    (tmp_path / "link").symlink_to("grader")

    whole, _ = landlock.carve([str(tmp_path)], str(tmp_path / "grader"))

    assert whole == []


def test_the_hole_itself_is_never_read(tmp_path: Path) -> None:
    assert landlock.carve([str(tmp_path / "a")], str(tmp_path)) == ([], [])


def test_every_copy_of_a_package_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout = tmp_path / "checkout" / "grader"
    installed = tmp_path / "lib" / "python3.11" / "site-packages" / "grader"
    for folder in (checkout, installed):
        folder.mkdir(parents=True)
    monkeypatch.setattr(landlock, "readable_paths", lambda: [str(tmp_path / "lib")])

    assert landlock.copies(str(checkout)) == [str(checkout), str(installed)]
