"""Programs that look for what is not theirs, or for a way out.

Each becomes right only where its attack succeeds (`only_if`), so that full marks would show it;
what the sandbox ends for a forbidden call loses everything. Nothing is changed where one succeeds:
a file written is a comment, a signal is number 0.
"""

from __future__ import annotations

from pathlib import Path

from grader.errors import Cause
from grader.resources import reference_dir
from tests.hostile.cases import Case, Graded, Recipe
from tests.hostile.programs import EVERYTHING, FUNCTIONS, only_if

FAILED = Graded(FUNCTIONS, says="the attack failed")
ENDED = Graded(EVERYTHING, Cause.STUDENT_FORBIDDEN_CALL, says="a system call")


def reads(place: str) -> Recipe:
    """Reads a file of this machine that is there, by every road."""

    def make(room: Path) -> Path:
        secret = room / place
        secret.parent.mkdir(parents=True, exist_ok=True)
        secret.write_text("worth reading")
        secret.chmod(0o644)
        return by_every_road(str(secret))(room)

    return make


def by_every_road(path: str) -> Recipe:
    return only_if(f"""
        import ctypes, os, shutil
        path, home = {path!r}, os.environ["HOME"]
        def linked(make):
            make(path, home + "/link")
            return open(home + "/link", "rb").read()
        def mapped():
            import mmap
            with open(path, "rb") as file:
                return mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ).read()
        def below():
            inside = os.open("/proc/self/root", os.O_PATH)
            return os.read(os.open(path.lstrip("/"), os.O_RDONLY, dir_fd=inside), 9)
        roads = [
            lambda: open(path, "rb").read(),
            lambda: open("/proc/self/root" + path, "rb").read(),
            lambda: open("/proc/1/root" + path, "rb").read(),
            lambda: linked(os.symlink),
            lambda: linked(os.link),
            lambda: open(shutil.copy(path, home), "rb").read(),
            lambda: os.listdir(os.path.dirname(path)),
            mapped, below,
        ]
        for road in roads:
            try: worked = worked or bool(road())
            except OSError: pass
        """)


def calls(*numbers: str) -> Recipe:
    """Makes a system call by number; right where it succeeds."""
    return only_if(f"""
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        here, parent, path = os.getpid(), os.getppid(), b"/etc/passwd"
        worked = libc.syscall({", ".join(numbers)}) >= 0
        """)


def case(name: str, make: Recipe, why: str, expect: Graded = FAILED) -> Case:
    return Case(name, "escape", make, expect, why)


ESCAPES: tuple[Case, ...] = (
    # --- what is worth reading ---
    case("the labels of the test set", reads("data/cifar-10-batches-py/test_batch"),
         "whoever has the labels needs no network"),
    case("the course key", reads(".config/densenet-grader/course.key"),
         "whoever has the key knows the hidden probes"),
    case("another submission", reads("other/densenet.py"), "the neighbour's solution is right"),
    case("the results folder", reads("results/runs/other/grade.json"),
         "grades of others, and one's own hidden findings"),
    case("the reference solution", by_every_road(str(reference_dir() / "densenet.py")),
         "it lies beside the grader"),
    case("the reference solution, imported", only_if("""
        from grader.resources import reference_dir
        source = (reference_dir() / "densenet.py").read_text()
        exec(source, globals())
        worked = "def dense_block" in source
        """), "the grader's package stands on the path of its own Python"),
    case("the reference solution in a wheel", only_if("""
        import glob, sys
        for place in sys.path:
            for file in glob.glob(place + "/grader/_data/reference_solution/*.py"):
                exec(open(file).read(), globals())
                worked = True
        """), "likewise, installed"),
    case("a right network of the grader's self-test", only_if("""
        from grader.selftest.reference import REFERENCE
        exec(REFERENCE, globals())
        worked = True
        """), "the judge is judged by networks that would earn everything"),
    case("passwords of the machine", only_if("worked = bool(open('/etc/shadow').read())"),
         "what root may read is not for what root starts"),
    case("Keras's own copy of the data", only_if("""
        import glob, keras, os
        homes = [os.environ.get("KERAS_HOME", ""), os.path.expanduser("~/.keras"), "/root/.keras"]
        worked = any(glob.glob(home + "/datasets/*") for home in homes)
        keras.datasets.cifar10.load_data()
        worked = True
        """), "Keras downloads the test set, labels and all, and keeps it"),
    case("the grader's environment", only_if("""
        import os
        secret = ("GRADER_KEY", "GRADER_DATA", "AWS", "DOCKER", "SSH")
        worked = any(name.startswith(secret) for name in os.environ)
        for entry in os.listdir("/proc"):
            try: worked = worked or b"=" in open(f"/proc/{entry}/environ", "rb").read()
            except OSError: pass
        """), "secrets are passed in environments"),
    case("the grader's memory", only_if("""
        import os
        for pid in (os.getppid(), 1):
            for name in ("mem", "maps", "cmdline", "fd/0"):
                try: worked = worked or bool(open(f"/proc/{pid}/{name}", "rb").read(1))
                except OSError: pass
        """), "the key is in the memory of who asks"),
    case("the kernel's log", only_if("worked = bool(open('/dev/kmsg', 'rb').read(1))"),
         "other people's programs and addresses"),
    # --- the network ---
    case("a socket to the network", only_if("""
        import socket
        socket.create_connection(("127.0.0.1", 22), timeout=1)
        worked = True
        """), "asks a friend, or a model, for the answer"),
    case("a socket of any family", only_if("""
        import socket
        for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
                try: worked = bool(socket.socket(family, kind))
                except OSError: pass
        """), "the first that is forgotten is used"),
    case("the container engine", only_if("""
        import socket
        for path in ("/var/run/docker.sock", "/run/docker.sock", "/run/engine/docker.sock"):
            try:
                engine = socket.socket(socket.AF_UNIX)
                engine.connect(path)
                worked = True
            except OSError: pass
        """), "whoever speaks to the engine is root"),
    # --- other programs ---
    case("a program started", only_if("""
        import os, subprocess
        worked = os.system("true") == 0
        worked = worked or subprocess.run(["/bin/true"]).returncode == 0
        """), "a shell has tools that Python has not"),
    case("itself, with a library put before", only_if("""
        import os, sys
        os.execve(sys.executable, [sys.executable, "-c", "pass"], {"LD_PRELOAD": "evil.so"})
        """), "a fresh interpreter has no filter of its own"),
    case("a program out of memory", only_if("""
        import os
        file = os.memfd_create("program")
        os.write(file, open("/bin/true", "rb").read())
        os.execve(file, ["program"], {})
        """), "a file without a name is in no folder that could be closed"),
    case("a process traced", calls("101", "16", "parent", "0", "0"),
         "whoever traces a process is that process", ENDED),
    case("a process's memory copied", calls("310", "parent", "0", "0", "0", "0", "0"),
         "likewise", ENDED),
    case("a file by its handle", calls("304", "-100", "path", "0"),
         "passes by every folder that is closed", ENDED),
    case("a namespace of its own", calls("272", "0x10000000"),
         "root inside is a way to root outside", ENDED),
    case("a ring of calls", calls("425", "8", "ctypes.create_string_buffer(120)"),
         "calls that no filter sees", ENDED),
    case("a socket by number", calls("41", "2", "1", "0"),
         "a filter in Python is none"),
    case("a signal to the grader", only_if("""
        import os
        os.kill(os.getppid(), 0)
        worked = True
        """), "a dead supervisor is the machine's fault, which withholds a bad grade"),
    case("a signal by way of a pipe", only_if("""
        import fcntl, os
        fcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, os.getppid())
        worked = True
        """), "the kernel sends it, on behalf of the owner"),
    case("root again", only_if("""
        import os
        os.setuid(0)
        worked = True
        """), "what stepped down may not step up"),
    # --- persistence ---
    case("a line where Python starts", only_if("""
        import os, site, sys
        for place in [*sys.path, *site.getsitepackages(), site.getusersitepackages()]:
            if place == os.getcwd(): continue  # its own copy, which goes with it
            try:
                open(place + "/densenet-grader-gallery.pth", "w").write("# harmless")
                worked = True
            except OSError: pass
        """), "runs before every later program"),
    case("settings and caches of libraries", only_if("""
        import keras, os, numpy
        for file in ("/root/.keras/keras.json", keras.__file__, numpy.__file__):
            try:
                open(file, "a").close()
                worked = True
            except OSError: pass
        """), "the next submission's Keras is the student's"),
    case("a place that others share", only_if("""
        import os
        for place in ("/tmp", "/var/tmp", "/dev/shm", "/run", "/root", "/"):
            try:
                open(place + "/densenet-grader-gallery", "w").close()
                os.unlink(place + "/densenet-grader-gallery")
                worked = True
            except OSError: pass
        """), "a message to a later run, or to another student's"),
    case("memory that others share", only_if("""
        from multiprocessing import shared_memory
        shared_memory.SharedMemory("densenet-grader-gallery", create=True, size=16).unlink()
        worked = True
        """), "likewise, without a file"),
)  # fmt: skip

MARK = "densenet-grader-mark"
finds_what_an_earlier_one_left = only_if(f"""
    import builtins, os, sys, tempfile
    import keras
    places = [os.environ["HOME"], tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm", "."]
    worked = hasattr(keras, "marked") or hasattr(builtins, "marked") or {MARK!r} in os.environ
    worked = worked or any(os.path.exists(place + "/{MARK}") for place in places)
    for place in places:
        try: open(place + "/{MARK}", "w").close()
        except OSError: pass
    keras.marked = builtins.marked = True
    os.environ[{MARK!r}] = "1"
    sys.modules["marked"] = sys
    """)
"""Leaves a mark in memory and on disk, wherever it can, and is right where it finds one."""
