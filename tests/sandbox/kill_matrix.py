"""The defences, each with the edit that switches it off and the test that must then turn red.

`python -m tests.sandbox.kill_matrix` writes the table into docs/defences.md.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- kill matrix: begin -->", "<!-- kill matrix: end -->"
PAGE = ROOT / "docs" / "defences.md"
CONTRACT = "tests/sandbox/test_contract.py"
HALF_WRITTEN = "*.pyc.*"
"""Compiled modules are copied too, which saves compiling; these are on their way to be one."""


@dataclass(frozen=True)
class Defence:
    """One defence.

    Attributes:
        name: In words.
        file: Where it stands, below grader/.
        old: Its code, once in that file.
        new: What switches it off.
        test: The test that must then fail, with the provider in brackets.
        module: The test's file.
        needs: "docker", "root" or nothing.
    """

    name: str
    file: str
    old: str
    new: str
    test: str
    module: str = CONTRACT
    needs: str = ""


WORKER, SUPERVISOR, TREE = "inside/worker.py", "inside/supervisor.py", "inside/tree.py"
JOB, PROCESSES, DISK = "inside/job.py", "inside/processes.py", "inside/disk.py"
CONFINE, LANDLOCK, SECCOMP = "inside/confine.py", "inside/landlock.py", "inside/seccomp.py"
FRAMES, PUMP, VERDICT = "sandbox/frames.py", "sandbox/pump.py", "sandbox/verdict.py"
PROCESS, DOCKER = "sandbox/process.py", "sandbox/docker.py"
FRAMES_TEST, CONFINE_TEST = "tests/sandbox/test_frames.py", "tests/sandbox/test_confine.py"
DOCKER_TEST = "tests/sandbox/test_docker.py"
DISK_TEST, ENDING_TEST = "tests/sandbox/test_disk.py", "tests/sandbox/test_ending.py"
NEIGHBOURS_TEST = "tests/sandbox/test_neighbours.py"

DEFENCES = (
    Defence(
        "Landlock: only its own files",
        WORKER,
        "    landlock.restrict_files(",
        "    (lambda *_: None)(",
        "test_other_files_cannot_be_read[jail]",
    ),
    Defence(
        "Landlock: nothing written outside its folder",
        LANDLOCK,
        "            _allow_beneath(ruleset, path, rights & ~all_but)",
        "            _allow_beneath(ruleset, '/', rights & ~all_but)",
        "test_nothing_can_be_left_for_the_next_run[jail-/var/tmp]",
    ),
    Defence(
        "Landlock: the installed grader is carved out",
        LANDLOCK,
        "        if any(_below(path, hole) for hole in holes):",
        "        if False:",
        "test_the_hole_itself_is_never_read",
        CONFINE_TEST,
    ),
    Defence(
        "Landlock: every copy of the grader is carved out",
        JOB,
        "        ours = landlock.copies(str(HERE.parent))",
        "        ours = [str(HERE.parent)]",
        "test_no_copy_of_the_reference_solution_can_be_read[jail]",
    ),
    Defence(
        "seccomp: the filter is installed",
        WORKER,
        "    seccomp.restrict_calls(syscalls)\n",
        "",
        "test_there_is_no_network[jail]",
    ),
    Defence(
        "seccomp: no new processes",
        SECCOMP,
        "            (_AND, 0, 0, _CLONE_THREAD | _CLONE_FILES | _CLONE_NAMESPACES),\n"
        "            (_EQUAL, 0, 1, _CLONE_THREAD | _CLONE_FILES),\n",
        "",
        "test_a_guard_looks_at_the_arguments[clone-arguments10-327681-x86_64]",
        CONFINE_TEST,
    ),
    Defence(
        "seccomp: signals to itself alone",
        SECCOMP,
        '"kill": only(0, [pid]),',
        '"kill": [allow],',
        "test_a_guard_looks_at_the_arguments[kill-arguments1-327681-x86_64]",
        CONFINE_TEST,
    ),
    Defence(
        "seccomp: dangerous calls end the program",
        SECCOMP,
        "        (tables.FATAL, _KILL),\n",
        "        (tables.FATAL, _ALLOW),\n",
        "test_every_call_gets_the_verdict_of_its_table[x86_64]",
        CONFINE_TEST,
    ),
    Defence(
        "seccomp: other architectures' calls end the program",
        SECCOMP,
        "        program += [(_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _KILL)]\n",
        "        pass\n",
        "test_calls_of_another_architecture_end_the_program",
        CONFINE_TEST,
    ),
    Defence(
        "root steps down to nobody's user, without capabilities",
        WORKER,
        "        confine.step_down(job.uid)\n",
        "        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)\n",
        "test_the_program_is_not_root_and_has_no_powers[jail]",
        needs="root",
    ),
    Defence(
        "our clock",
        PUMP,
        "            end = self._ready_at + self._limits.wall_time_s",
        "            end = self._ready_at + 3600",
        "test_sleeping_for_ever_ends_in_a_timeout[jail]",
    ),
    Defence(
        "processor limit",
        CONFINE,
        "    _lower(resource.RLIMIT_CPU, cpu, cpu + 1)\n",
        "",
        "test_the_kernel_holds_the_limits_too[jail]",
    ),
    Defence(
        "address space limit",
        CONFINE,
        "        _lower(resource.RLIMIT_AS, space)\n",
        "        pass\n",
        "test_reserving_more_than_there_is_fails_at_once[jail]",
    ),
    Defence(
        "memory watch over all processes",
        SUPERVISOR,
        '    if memory > limits["memory_bytes"]:\n',
        "    if False:\n",
        "test_the_memory_of_all_processes_together_counts[process]",
    ),
    Defence(
        "process watch",
        SUPERVISOR,
        '    if tasks >= limits["processes"]:\n',
        "    if False:\n",
        "test_a_fork_bomb_gets_nowhere[process]",
    ),
    Defence(
        "time that others took is given back",
        PUMP,
        " + min(self._held_s, self._patience_s)",
        "",
        "test_a_starved_program_is_not_out_of_time[jail]",
        NEIGHBOURS_TEST,
    ),
    Defence(
        "what was disturbed is repeated alone",
        "sandbox/turns.py",
        "    with suppress(Disturbed), TURNS",
        "    with TURNS",
        "test_a_disturbed_run_is_repeated_once_and_alone",
        NEIGHBOURS_TEST,
    ),
    Defence(
        "a run stays on the core of its seat",
        WORKER,
        '        confine.take_one_core(int(job.order["seat"]))\n',
        "        pass\n",
        "test_a_program_stays_on_the_core_of_its_seat",
        NEIGHBOURS_TEST,
    ),
    Defence(
        "the program goes first where memory runs out",
        WORKER,
        "    confine.be_killed_first()\n",
        "",
        "test_the_kernel_takes_the_program_first_where_memory_runs_out",
        NEIGHBOURS_TEST,
    ),
    Defence(
        "no threads of others are counted",
        SUPERVISOR,
        "        return None if job.uid is None else allowed\n",
        "        return allowed\n",
        "test_the_kernel_counts_threads_only_of_a_user_of_the_runs_own",
        NEIGHBOURS_TEST,
    ),
    Defence(
        "seccomp: no clock, group or core of another process is told",
        SECCOMP,
        '        "getpgid": only(0, [0, pid]),\n',
        '        "getpgid": [allow],\n',
        "test_nothing_is_heard_of_other_processes[jail]",
        NEIGHBOURS_TEST,
    ),
    Defence(
        "seccomp: no lock on a file that all may read",
        SECCOMP,
        '        "flock": [as_if_done],\n',
        '        "flock": [allow],\n',
        "test_a_lock_on_a_file_that_all_may_read_is_not_taken",
        NEIGHBOURS_TEST,
    ),
    Defence(
        "process limit in the kernel",
        CONFINE,
        "        _lower(resource.RLIMIT_NPROC, tasks_of_user)\n",
        "        pass\n",
        "test_the_kernel_holds_the_limits_too[jail]",
    ),
    Defence(
        "file size limit",
        CONFINE,
        '    _lower(resource.RLIMIT_FSIZE, int(limits["file_bytes"]))\n',
        "",
        "test_the_kernel_holds_the_limits_too[jail]",
    ),
    Defence(
        "disk watch",
        SUPERVISOR,
        '    if disk >= limits["file_bytes"]:\n',
        "    if False:\n",
        "test_many_files_together_reach_the_disk_limit[process]",
    ),
    Defence(
        "disk watch over files without a name",
        DISK,
        "            count.unlinked(pid)\n",
        "            pass\n",
        "test_files_without_a_name_count_for_the_disk_limit[process]",
    ),
    Defence(
        "disk watch over files that are only mapped",
        DISK,
        "            count.mapped(pid, folder)\n",
        "            pass\n",
        "test_a_file_that_is_mapped_alone_reaches_the_disk_limit[process]",
        ENDING_TEST,
    ),
    Defence(
        "a file system of the run's own",
        SUPERVISOR,
        "    job.own_room = room.make(str(job.private), size, job.uid)\n",
        "    pass\n",
        "test_a_jailed_run_has_a_file_system_of_its_own",
        ENDING_TEST,
    ),
    Defence(
        "everything is killed at the end",
        PROCESSES,
        "                os.kill(pid, signal.SIGKILL)\n",
        "                os.kill(pid, 0)\n",
        "test_children_holding_the_pipe_do_not_delay_the_end[process]",
    ),
    Defence(
        "threads do not outlive their main thread",
        SUPERVISOR,
        "        alone = processes.main_thread_ended(self._worker)\n",
        "        alone = False\n",
        "test_a_program_whose_main_thread_has_ended_is_over[jail-1]",
        ENDING_TEST,
    ),
    Defence(
        "a supervisor that hangs is killed",
        PUMP,
        "            self._kill_supervisor()\n",
        "            pass\n",
        "test_a_supervisor_that_hangs_is_killed_when_its_time_is_over[jail-warm]",
        ENDING_TEST,
    ),
    Defence(
        "folders are removed one at a time, by descriptors",
        DISK,
        "    with contextlib.suppress(FileNotFoundError):\n        clear(path)\n",
        "    shutil.rmtree(path, ignore_errors=True)\n"
        "    with contextlib.suppress(FileNotFoundError):\n",
        "test_folders_deeper_than_any_path_are_removed[d-3000]",
        DISK_TEST,
    ),
    Defence(
        "what cannot be counted is a full disk",
        DISK,
        "    except (_Full, PermissionError):\n        return sys.maxsize\n",
        "    except (_Full, PermissionError):\n        pass\n",
        "test_what_cannot_be_counted_is_a_full_disk",
        DISK_TEST,
    ),
    Defence(
        "orphans stay ours (subreaper)",
        SUPERVISOR,
        "        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)\n",
        "        pass\n",
        "test_a_daemon_does_not_outlive_its_program[process]",
    ),
    Defence(
        "the worker dies with its supervisor",
        WORKER,
        "        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)\n",
        "        pass\n",
        "test_killing_the_supervisor_ends_the_run_and_is_not_the_students_fault[process]",
    ),
    Defence(
        "the private folder is removed",
        SUPERVISOR,
        "        disk.remove(private)\n",
        "        pass\n",
        "test_killing_the_grader_ends_the_run_and_removes_its_files[cold]",
    ),
    Defence(
        "the supervisor hears when the grader is gone",
        SUPERVISOR,
        "        if self._reason or alone or line.hangup in readable:\n",
        "        if self._reason or alone:\n",
        "test_killing_the_grader_ends_the_run_and_removes_its_files[warm]",
    ),
    Defence(
        "no descriptor but the log and the channel",
        WORKER,
        "    os.closerange(channel + 1, 65536)\n",
        "    os.dup2(channel, 220)\n",
        "test_only_the_log_and_the_channel_are_open[jail]",
    ),
    Defence(
        "standard input is empty",
        WORKER,
        "    os.dup2(null, 0)\n",
        "    os.dup2(log, 0)\n",
        "test_standard_input_is_empty[jail]",
    ),
    Defence(
        "an environment of its own",
        PROCESS,
        "            env=stage_environment(),\n",
        "            env={**os.environ, **stage_environment()},\n",
        "test_the_environment_holds_nothing_of_ours[process]",
    ),
    Defence(
        "the tree gives plain sources only",
        TREE,
        "    sys.path_hooks.insert(0, TreeFinder(tree))\n",
        "",
        "test_a_stale_cache_does_not_stand_in_for_the_source[jail]",
    ),
    Defence(
        "the tree comes after the standard library",
        TREE,
        "    sys.path.insert(first_site, str(tree))\n",
        "    sys.path.insert(0, str(tree))\n",
        "test_a_module_named_like_a_standard_one_shadows_nothing[jail]",
    ),
    Defence(
        "no handlers at exit",
        WORKER,
        "        os._exit(status)  # no atexit, no threads, no destructors of the student's\n",
        "        sys.exit(status)\n",
        "test_handlers_at_exit_do_not_run[jail]",
    ),
    Defence(
        "a frame's name is taken once",
        FRAMES,
        "        if name in self.json_frames or",
        "        if False and name in self.json_frames or",
        "test_a_malformed_answer_is_bad_output[duplicate]",
        FRAMES_TEST,
    ),
    Defence(
        "nothing after the end frame",
        FRAMES,
        "        if END in self.control and self._buffer:\n",
        "        if False:\n",
        "test_a_malformed_answer_is_bad_output[frame-after-end]",
        FRAMES_TEST,
    ),
    Defence(
        "a length is not believed",
        FRAMES,
        "        if already_read + payload_length > self._max_bytes:\n",
        "        if False:\n",
        "test_a_length_beyond_the_limit_is_refused_before_its_bytes_come[1099511627776]",
        FRAMES_TEST,
    ),
    Defence(
        "all bytes are counted",
        FRAMES,
        "            if self._received > self._max_bytes:\n",
        "            if False:\n",
        "test_a_flood_in_one_frame_without_end_is_stopped",
        FRAMES_TEST,
    ),
    Defence(
        "frames are counted",
        FRAMES,
        "        if self._count() >= self._max_frames:\n",
        "        if False:\n",
        "test_too_many_frames_are_refused",
        FRAMES_TEST,
    ),
    Defence(
        "names are labels",
        FRAMES,
        "        if not _NAME.fullmatch(raw):\n",
        "        if False:\n",
        "test_a_malformed_answer_is_bad_output[space-in-name]",
        FRAMES_TEST,
    ),
    Defence(
        "no answer without the end frame",
        VERDICT,
        "    if not parser.complete:\n",
        "    if False:\n",
        "test_an_end_before_the_answer_is_the_students[jail-exit-0]",
    ),
    Defence(
        "a failure before student code is never the student's",
        VERDICT,
        "    if not parser.ready:\n",
        "    if False:\n",
        "test_a_stage_that_does_not_load_is_never_the_students_fault[jail]",
    ),
    Defence(
        "no path of this machine in a message",
        VERDICT,
        """    return kind, re.sub(r"(?<![\\w.])/[^\\s'\\"]*/", "", message)[:_TEXT]\n""",
        "    return kind, message[:_TEXT]\n",
        "test_a_message_names_no_path_of_this_machine[jail]",
    ),
    Defence(
        "container: no network",
        DOCKER,
        '            network_mode="none",\n',
        '            network_mode="host",\n',
        "test_the_engine_was_told_so_and_mounts_nothing_of_ours",
        DOCKER_TEST,
        needs="docker",
    ),
    Defence(
        "container: read-only root",
        DOCKER,
        "            read_only=True,\n",
        "",
        "test_the_container_has_no_powers_no_network_and_nothing_writable",
        DOCKER_TEST,
        needs="docker",
    ),
    Defence(
        "container: no capability",
        DOCKER,
        '            cap_drop=["ALL"],\n',
        "",
        "test_the_container_has_no_powers_no_network_and_nothing_writable",
        DOCKER_TEST,
        needs="docker",
    ),
    Defence(
        "container: no new privileges",
        DOCKER,
        '            security_opt=["no-new-privileges"],\n',
        "",
        "test_the_engine_was_told_so_and_mounts_nothing_of_ours",
        DOCKER_TEST,
        needs="docker",
    ),
    Defence(
        "container: nobody's user",
        DOCKER,
        "                user=_USER,\n",
        "",
        "test_the_program_is_not_root_and_has_no_powers[docker]",
        needs="docker",
    ),
    Defence(
        "container: memory without swap, processes counted",
        DOCKER,
        "            pids_limit=limits.processes + _SPARE_PROCESSES,\n",
        "",
        "test_the_engine_was_told_so_and_mounts_nothing_of_ours",
        DOCKER_TEST,
        needs="docker",
    ),
    Defence(
        "container: the grader's package is out of sight",
        DOCKER,
        '                PACKAGE: "ro,noexec,nosuid,nodev,mode=0555,size=4k",\n',
        "",
        "test_the_grader_in_the_image_is_not_there_for_student_code",
        DOCKER_TEST,
        needs="docker",
    ),
    Defence(
        "container: system calls are filtered in a cold one too",
        DOCKER,
        '        "jail": True,\n',
        '        "jail": warm,\n',
        "test_a_program_cannot_touch_its_supervisor[docker]",
        ENDING_TEST,
        needs="docker",
    ),
    Defence(
        "container: files are closed in a warm one",
        DOCKER,
        '        "alone": not warm,\n',
        '        "alone": True,\n',
        "test_in_a_warm_container_nothing_is_written_outside_the_private_folder",
        DOCKER_TEST,
        needs="docker",
    ),
    Defence(
        "container: its end is the program's, not the machine's",
        DOCKER,
        "            elif talk.parser.ready and self._has_ended():\n",
        "            elif False:\n",
        "test_a_container_that_ends_by_itself_is_the_programs_end",
        ENDING_TEST,
        needs="docker",
    ),
    Defence(
        "container: thrown away after a failure",
        DOCKER,
        "            keep = self._warm and whole and ending.left is None\n",
        "            keep = self._warm\n",
        "test_a_warm_container_is_thrown_away_after_a_failure",
        DOCKER_TEST,
        needs="docker",
    ),
    Defence(
        "container: thrown away where something of a run is left",
        DOCKER,
        "            keep = self._warm and whole and ending.left is None\n",
        "            keep = self._warm and whole\n",
        "test_a_warm_container_that_something_is_left_in_is_thrown_away",
        ENDING_TEST,
        needs="docker",
    ),
    Defence(
        "container: what a killed grader left is reaped",
        DOCKER,
        "                _reap(client)\n",
        "                pass\n",
        "test_a_killed_graders_container_ends_and_is_removed_by_the_next",
        DOCKER_TEST,
        needs="docker",
    ),
    Defence(
        "intake: no name of a device",
        "intake/paths.py",
        '    if plain.split(".")[0].rstrip().casefold() in DEVICES:\n',
        "    if False:\n",
        "test_a_name_that_is_dangerous_somewhere_is_refused",
        "tests/intake/test_paths.py",
    ),
    Defence(
        "intake: two names for one file",
        "intake/paths.py",
        "            if known != (head, folder) or not (folder or known[0] is head):\n",
        "            if False:\n",
        "test_two_names_for_one_file_are_refused",
        "tests/intake/test_paths.py",
    ),
    Defence(
        "intake: the ratio of a bomb",
        "intake/ziplayout.py",
        "        if entry.size_bytes > allowed:\n",
        "        if False:\n",
        "test_a_ratio_no_honest_file_has_is_refused",
        "tests/intake/test_ziplayout.py",
    ),
    Defence(
        "intake: not a byte beyond what is declared",
        "intake/ziplayout.py",
        "        if count > entry.size_bytes:\n",
        "        if False:\n",
        "test_no_byte_beyond_the_declared_size_comes_out",
        "tests/intake/test_ziplayout.py",
    ),
    Defence(
        "hidden probes depend on the submission",
        "run/request.py",
        'key.derive(self.submission.sha256, "probes")',
        'key.derive("", "probes")',
        "test_the_hidden_probes_of_a_submission_are_the_same_every_time",
        "tests/pipeline/test_pipeline.py",
    ),
    Defence(
        "hidden probes depend on the course key",
        "ledger/key.py",
        '        return hmac.digest(self.secret, message, "sha256")\n',
        "        return hashlib.sha256(message).digest()\n",
        "test_what_is_derived_depends_on_key_submission_and_purpose_and_repeats",
        "tests/ledger/test_key.py",
    ),
    Defence(
        "a run on disk is what the sandbox sent",
        "run/folder.py",
        "        if hashlib.sha256(data).hexdigest() != frame.sha256:\n",
        "        if False:\n",
        "test_a_broken_run_directory_is_the_machine_s_fault",
        "tests/pipeline/test_pipeline.py",
    ),
    Defence(
        "the records of a run carry the seal of the course key",
        "run/seal.py",
        "    if not hmac.compare_digest(seal, _mac(body, file, run, key)):\n",
        "    if False:\n",
        "test_grading_again_does_not_heal_an_edited_record_in_silence",
        "tests/pipeline/test_regrade.py",
    ),
    Defence(
        "grades without their records show that records were taken away",
        "ledger/audit.py",
        "            return found or list(_without_record(database))\n",
        "            return found\n",
        "test_records_that_are_cut_off_together_with_the_head_are_found[0]",
        "tests/ledger/test_audit.py",
    ),
    Defence(
        "weights that know the test images are looked at",
        "engine/looks.py",
        "    if not a - b > DEVIATIONS * error:\n",
        "    if True:\n",
        "test_a_network_that_knows_the_test_images_is_shown_with_its_numbers",
        "tests/engine/test_looks.py",
    ),
    Defence(
        "the rebuilt network gives the student's numbers",
        "graph/numeric.py",
        "    if not difference <= tolerance * scale:\n",
        "    if False:\n",
        "test_the_comparison_fails_closed[too far]",
        "tests/graph/test_numeric.py",
    ),
    Defence(
        "what was read is what was traced",
        "graph/beside.py",
        "    return bool((difference[finite] <= TOLERANCE * largest).all())\n",
        "    return True\n",
        "test_a_rule_that_misreads_is_found[identity for relu]",
        "tests/graph/test_proof.py",
    ),
    Defence(
        "the deadline",
        "scoring/deadline.py",
        "    return max(0, int((received - due.astimezone(UTC)).total_seconds()))\n",
        "    return 0\n",
        "test_the_second_after_the_deadline_is_late_and_costs_a_started_hour",
        "tests/scoring/test_deadline.py",
    ),
    Defence(
        "ledger: a record carries its seal",
        "ledger/record.py",
        'hmac.new(key.derive("", PURPOSE), fields',
        'hmac.new(b"", fields',
        "test_the_seal_of_another_key_is_no_seal",
        "tests/ledger/test_audit.py",
    ),
    Defence(
        "ledger: a record is chained to the one before",
        "ledger/book.py",
        "            if entry is None or (entry.seq, entry.previous) != after:\n",
        "            if entry is None:\n",
        "test_a_record_of_another_ledger_with_the_same_key_is_found[2]",
        "tests/ledger/test_audit.py",
    ),
    Defence(
        "ledger: a missing end is seen",
        "ledger/audit.py",
        "    count = head.count if head else max(sealed, default=0)\n",
        "    count = max(sealed, default=0)\n",
        "test_a_record_taken_away_with_its_grade_is_found[5]",
        "tests/ledger/test_audit.py",
    ),
    Defence(
        "ledger: a grade is what was recorded",
        "ledger/rows.py",
        "    if hashlib.sha256(text.encode()).hexdigest() != entry.grade_sha256:\n",
        "    if False:\n",
        "test_a_changed_or_missing_grade_is_found",
        "tests/ledger/test_audit.py",
    ),
    Defence(
        "ledger: nothing is counted twice",
        "ledger/book.py",
        "            if known is not None and self._is(known, content, database):\n",
        "            if False:\n",
        "test_the_same_grade_is_not_recorded_twice",
        "tests/ledger/test_book.py",
    ),
    Defence(
        "ledger: an event, its grade and the head are one transaction",
        "ledger/book.py",
        "        with self._database(to_write=True) as database, transaction(database):\n",
        "        with self._database(to_write=True) as database:\n",
        "test_killed_at_any_step_nothing_is_lost_or_counted_twice[1]",
        "tests/ledger/test_book.py",
    ),
    Defence(
        "files are whole or not there",
        "files.py",
        "        put_in_place(name, path)\n",
        '        path.write_bytes(b"{")\n        put_in_place(name, path)\n',
        "test_killed_at_any_step_the_same_command_leaves_what_one_run_leaves[grades]",
        "tests/pipeline/test_killed.py",
    ),
    Defence(
        "the evaluation ends with its grader",
        "engine/child.py",
        "    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)\n",
        "    pass\n",
        "test_the_evaluation_does_not_outlive_a_killed_grader",
        "tests/pipeline/test_killed.py",
    ),
    Defence(
        "a GPU that is asked for is never made up for",
        "engine/gpu.py",
        "    if not list_gpus(nvml):\n",
        "    if False:\n",
        "test_a_gpu_that_is_asked_for_and_not_there_is_refused",
        "tests/engine/test_gpu.py",
    ),
)


def source_of(defence: Defence) -> Path:
    return ROOT / "grader" / defence.file


def without_defence(defence: Defence, folder: Path) -> None:
    """Copy what the defence's test needs into a folder, with the defence switched off."""
    if not defence.module.startswith("tests/sandbox"):
        _copy_all(folder)
        _switch_off(defence, folder)
        return
    for name in ("grader/sandbox", "grader/inside", "tests/sandbox"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns(HALF_WRITTEN))
    for name in ("__init__", "errors", "files", "domain", "paper"):
        shutil.copy(ROOT / f"grader/{name}.py", folder / f"grader/{name}.py")
    for path in (ROOT / "tests").glob("*.py"):
        shutil.copy(path, folder / "tests")
    (folder / "reference_solution").mkdir()
    shutil.copy(ROOT / "reference_solution/densenet.py", folder / "reference_solution")
    shutil.copy(ROOT / "pyproject.toml", folder)
    _switch_off(defence, folder)


def _copy_all(folder: Path) -> None:
    ignore = shutil.ignore_patterns(HALF_WRITTEN, "*.h5", "*.png", "traces")
    for name in ("grader", "tests", "assignment", "student_template", "reference_solution"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", folder)


def _switch_off(defence: Defence, folder: Path) -> None:
    source = folder / "grader" / defence.file
    source.write_text(source.read_text().replace(defence.old, defence.new))
    for compiled in source.parent.glob(f"__pycache__/{source.stem}.*"):
        compiled.unlink()


class Warm:
    """One Python that has loaded pytest, and forks for each test: see kill_server.py."""

    def __init__(self) -> None:
        command = [sys.executable, "-B", ROOT / "tests/sandbox/kill_server.py"]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run_test(self, defence: Defence, folder: Path) -> tuple[int, str]:
        """Run the defence's test in a folder.

        Returns:
            Pytest's exit status and all that it printed.
        """
        order = {"folder": str(folder), "test": f"{defence.module}::{defence.test}"}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(order), file=self._process.stdin, flush=True)
        status = self._process.stdout.readline()
        return int(status), (folder / "printed.txt").read_text(errors="replace")

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def table() -> str:
    """The matrix as it stands in docs/defences.md."""
    lines = ["| Defence | Stands in | Test that turns red without it |", "|---|---|---|"]
    for d in DEFENCES:
        lines.append(f"| {d.name} | `grader/{d.file}` | `{Path(d.module).name}::{d.test}` |")
    return "\n".join([BEGIN, *lines, END])


def in_page(text: str) -> str:
    """docs/defences.md with the current matrix in it."""
    return re.sub(f"{BEGIN}.*{END}", lambda _: table(), text, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(in_page(PAGE.read_text()))
