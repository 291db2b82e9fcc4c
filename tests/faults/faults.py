#!/usr/bin/env python3
"""Proves that tests can fail: switches each seeded fault on (ir/support/fault.h) and runs the test that must catch it.

A fault counts as caught if its test fails, crashes or hangs; the same test must pass without it. Needs a build of the
`faults` preset:  tests/faults/faults.py --bin build/faults/bin [--only NAME]
"""
import argparse
import os
import subprocess
import sys

HANG_SECONDS = 20

# fault, test program, filter
FAULTS = [
    # waits and mail
    ("lost-early-answer", "runtime_tests", "Scheduler.a_query_tells_the_flag_and_is_answered_for_dead_threads_too"),
    ("old-ticket-ends-wait", "runtime_tests", "Scheduler.an_answer_to_an_earlier_wait_is_dropped"),
    ("interrupt-flag-survives", "runtime_tests", "EveryWait/InterruptTest.*"),
    ("slices-never-end", "runtime_tests", "Scheduler.endless_loops_share_the_workers_fairly"),
    ("early-resume-is-lost", "runtime_tests", "Suspension.resuming_races_with_suspending"),
    # moves
    ("moved-waiter-loses-its-wake-up", "runtime_tests",
     "Moving.an_answer_that_comes_while_the_writes_go_home_leaves_with_the_thread"),
    ("moved-sleep-starts-over", "runtime_tests", "Moving.a_sleeping_thread_sleeps_on_at_its_target"),
    ("run-thread-twice", "runtime_tests", "Moving.a_second_copy_of_a_transfer_is_refused"),
    # monitors
    ("exit-wakes-nobody", "runtime_tests", "SyncHomeTest.a_contended_monitor_is_handed_over_in_order_and_deflates"),
    ("inflate-without-cas", "runtime_tests", "MonitorRace.inflation_meets_an_owner_who_is_leaving"),
    ("wait-forgets-recursion", "runtime_tests", "SyncHomeTest.wait_gives_the_whole_recursion_back_and_restores_it"),
    ("interrupt-eats-notification", "runtime_tests",
     "SyncHomeTest.an_interrupt_after_notify_does_not_eat_the_notification"),
    ("remote-release-does-not-tick", "runtime_tests",
     "SyncHomeTest.a_remote_release_ticks_the_clock_and_its_answer_says_so"),
    # the outside world
    ("outside-call-is-done-again", "runtime_tests", "OutsideTest.a_repeated_call_is_answered_but_not_done_again"),
]


def passes(binary, test, fault):
    env = dict(os.environ)
    env.pop("JVMC_FAULT", None)
    if fault:
        env["JVMC_FAULT"] = fault
    command = [binary, f"--gtest_filter={test}"]
    try:
        done = subprocess.run(command, env=env, timeout=HANG_SECONDS, capture_output=True, text=True)
    except subprocess.TimeoutExpired:
        return False
    if "[  PASSED  ] 0 tests" in done.stdout and "FAILED" not in done.stdout:
        sys.exit(f"no such test: {test}")
    return done.returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True, help="folder of the test programs")
    parser.add_argument("--only", help="one fault")
    arguments = parser.parse_args()
    missed = 0
    for fault, program, test in FAULTS:
        if arguments.only not in (None, fault):
            continue
        binary = os.path.join(arguments.bin, program)
        if not passes(binary, test, None):
            print(f"BROKEN  {fault}: {test} fails without the fault too")
            missed += 1
        elif passes(binary, test, fault):
            print(f"MISSED  {fault}: {test} passes")
            missed += 1
        else:
            print(f"caught  {fault}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
