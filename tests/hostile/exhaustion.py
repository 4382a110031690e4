"""Programs that take what there is: time, memory, disk, processes, patience.

All of them are bounded: with every limit missing they cost a minute and a few hundred megabytes.
One that must be noticed while it runs stays until it is: a busy machine looks late.
Reserved memory is not touched, so that it costs address space alone.
"""

from __future__ import annotations

from grader.errors import Cause
from tests.hostile.cases import Case, Graded, Recipe
from tests.hostile.forgery import STAGE
from tests.hostile.programs import EVERYTHING, FUNCTIONS, first, last

MiB = 2**20
BRIEF = {"wall_time_s": 2.0}
LITTLE_TIME = {"cpu_time_s": 1.0}
STUB = "NotImplementedError"


def case(name: str, make: Recipe, expect: Graded, why: str) -> Case:
    return Case(name, "resources", make, expect, why)


EXHAUSTION: tuple[Case, ...] = (
    # --- time ---
    case("asleep on import", first("import time; time.sleep(60)"),
         Graded(EVERYTHING, Cause.STUDENT_TIMEOUT, limits=BRIEF, says="time: expected at most 2 s"),
         "one of them holds up a class"),
    case("asleep, deaf to signals, its clocks stopped", first("""
        import signal, time
        for number in range(1, 65):
            try: signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError): pass
        sleep = time.sleep
        time.time = time.monotonic = time.perf_counter = lambda: 0.0
        sleep(60)
        """), Graded(EVERYTHING, Cause.STUDENT_TIMEOUT, limits=BRIEF),
         "a clock or an alarm inside the process is the student's"),
    case("stopped by itself", first("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)"),
         Graded(EVERYTHING, Cause.STUDENT_TIMEOUT, limits=BRIEF),
         "a stopped process takes no time, and gives none back"),
    case("a loop without end", last("""
        def dense_block(*arguments, **keywords):
            while True: pass
        """), Graded(FUNCTIONS, Cause.STUDENT_CPU_LIMIT, limits=LITTLE_TIME),
         "a processor for as long as nobody looks"),
    case("a regular expression without end", first("""
        import re
        re.match(r"(a+)+$", "a" * 60 + "b")
        """), Graded(EVERYTHING, Cause.STUDENT_CPU_LIMIT, limits=LITTLE_TIME),
         "one call in C that no signal handler interrupts"),
    case("a graph of a million nodes", last("""
        import keras
        def dense_block(x, *arguments, **keywords):
            for _ in range(1_000_000):
                x = keras.ops.add(x, 1.0)
            return x
        """), Graded(FUNCTIONS, Cause.STUDENT_CPU_LIMIT, limits=LITTLE_TIME),
         "tracing is most of what a submission costs"),
    case("an alarm", first("import signal; signal.alarm(1); signal.pause()"),
         Graded(EVERYTHING, Cause.STUDENT_EXITED, says="SIGALRM"),
         "an end by a signal is an end"),
    # --- memory ---
    case("memory on import", first("""
        import numpy
        blocks = [numpy.empty(2**28, "uint8") for _ in range(40)]
        """),
         Graded(EVERYTHING, says="MemoryError"), "the machine swaps for everybody"),
    case("memory in a call", last("""
        import numpy
        def dense_block(*arguments, **keywords): return numpy.zeros(10**11, "uint8")
        """), Graded(FUNCTIONS, says="MemoryError"), "likewise, later"),
    case("memory that is used", first("""
        import time
        kept = b"x" * (400 * 2**20)
        time.sleep(60)
        """), Graded(EVERYTHING, Cause.STUDENT_OUT_OF_MEMORY, limits={"memory_bytes": 500 * MiB}),
         "what is resident counts, not what was reserved"),
    # --- processes ---
    case("a fork bomb", first("""
        import os, time
        for _ in range(200):
            if os.fork() == 0:
                time.sleep(5)
                os._exit(0)
        """), Graded(EVERYTHING, says="PermissionError"), "the jail has no second process"),
    case("a daemon", first("""
        import os, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(20)
            os._exit(0)
        """), Graded(EVERYTHING, says="PermissionError"), "what outlives its run reads the next"),
    case("threads without end", first("""
        import threading, time
        for _ in range(400):
            try: threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
            except RuntimeError: break
        time.sleep(60)
        """), Graded(EVERYTHING, Cause.STUDENT_PROCESS_LIMIT),
         "the limit of the machine is one for all"),
    case("a thread that goes on", first("""
        import threading, time
        threading.Thread(target=time.sleep, args=(60,)).start()
        """), Graded(FUNCTIONS, says=STUB), "an interpreter waits for them; nobody else does"),
    case("the main thread ended, another stays", first("""
        import ctypes, os, threading, time
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[os.uname().machine], 0)
        """), Graded(EVERYTHING, Cause.STUDENT_EXITED, says="main thread"),
         "it looks like one that has ended, and goes on for as long as it likes"),
    # --- disk and pipes ---
    case("a file without end", first("""
        import os
        with open(os.environ["HOME"] + "/file", "wb", buffering=0) as file:
            for _ in range(200): file.write(bytes(2**20))
        """), Graded(EVERYTHING, Cause.STUDENT_DISK_LIMIT), "a full disk is everybody's"),
    case("twelve thousand files", first("""
        import os, time
        for number in range(12_000):
            open(os.path.join(os.environ["HOME"], str(number)), "w").close()
        time.sleep(60)
        """), Graded(EVERYTHING, Cause.STUDENT_DISK_LIMIT), "inodes in place of bytes"),
    case("a flood of text", first("""
        for _ in range(200): print("x" * 100_000)
        """), Graded(FUNCTIONS, says=STUB), "20 MB of log are kept by nobody"),
    case("a flood of frames", first(STAGE, """
        for number in range(10_000): channel.send_binary(f"n{number}", b"")
        """), Graded(EVERYTHING, Cause.STUDENT_BAD_OUTPUT, says="at most 1024 frames"),
         "each frame becomes a file"),
    case("an answer without end", first(STAGE, """
        for number in range(40): channel.send_binary(f"n{number}", bytes(2**20))
        """), Graded(EVERYTHING, Cause.STUDENT_OUTPUT_LIMIT), "each byte is kept on disk"),
    case("a pipe of its own size that nobody waits at", first("""
        import fcntl, os
        for descriptor in range(3, 256):
            try:
                fcntl.fcntl(descriptor, 1031, 4096)
                os.set_blocking(descriptor, False)
            except OSError: pass
        """), Graded(FUNCTIONS, says=STUB), "the reader's end is another description of the pipe"),
    case("all descriptors closed", first("import os; os.closerange(0, 256)"),
         Graded(EVERYTHING, Cause.STUDENT_EXITED), "silence is not an answer"),
    # --- the stack, and words ---
    case("recursion without end", last("""
        def dense_block(*arguments, **keywords): return dense_block(*arguments, **keywords)
        """), Graded(FUNCTIONS, says="RecursionError"), "the traceback alone has a thousand lines"),
    case("a fault in native code", first("import ctypes; ctypes.string_at(0)"),
         Graded(EVERYTHING, Cause.STUDENT_EXITED, says="SIGSEGV"),
         "takes the process with it, not the grader"),
    case("an error of ten megabytes", first("raise ValueError('x' * 10_000_000)"),
         Graded(EVERYTHING, says="ValueError: xxx"), "is shown to people, and kept"),
)  # fmt: skip
