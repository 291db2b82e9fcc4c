#!/usr/bin/env python3
"""Proves that tests can fail: switches each seeded fault on (ir/support/fault.h) and runs the test that must catch it.

A fault counts as caught if its test fails, crashes or hangs; the same test must pass without it. How to add one:
docs/internals/seeded_faults.md.

    faults.py --bin build/faults/bin [--only NAME]    needs a build of the `faults` preset
    faults.py --list                                  faults and their tests
    faults.py --absent PROGRAM...                     checks that programs contain no fault
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
HANG_SECONDS = 10
TRIES = 3

# fault, test program, filter; or: fault, program of tests/run or tests/litmus, way to run it (tests/run/run.py)
FAULTS = [
    # passes
    ("loop-without-a-poll", "ir_tests", "Pipeline.ALoopPollsOnItsBackEdgeWithTheValuesOfThatEdge"),
    ("strip-limit-off-by-one", "ir_tests", "Programs/Equivalence.WithAllPasses/loops"),
    ("bounds-guard-off-by-one", "ir_tests", "Programs/Equivalence.WithAllPasses/arrays"),
    ("null-check-elided-on-the-wrong-side", "ir_tests", "Programs/Equivalence.WithAllPasses/arrays"),
    ("inlined-code-loses-its-handler", "ir_tests", "Programs/Equivalence.WithAllPasses/objects"),
    ("stale-token-after-a-call", "ir_tests", "Programs/Equivalence.WithoutOptionalPasses/objects"),
    ("element-read-without-check", "ir_tests", "Programs/Equivalence.WithoutOptionalPasses/arrays"),
    # compiled code
    ("no-check-after-a-call", "jit_tests", "Capture.RecursionUnwindsAllItsFrames"),
    ("compiled-capture-drops-a-slot", "jit_tests", "Capture.ALoopGoesOnWhereItWas"),
    ("compiled-resume-point-off-by-one", "jit_tests", "Capture.RecursionUnwindsAllItsFrames"),
    ("inlined-capture-forgets-its-caller", "jit_tests", "Capture.AnExceptionThrownAfterACaptureFindsItsHandler"),
    ("virtual-object-loses-a-field", "run/virtual_objects_in_frames.ir", "jit-capture1"),
    ("continuation-swaps-its-slots", "jit_tests", "Capture.NestedLoopsGoOnInTheMiddleOfTheInnerOne"),
    ("continuation-ignores-an-exception", "jit_tests", "Capture.AnExceptionThrownAfterACaptureFindsItsHandler"),
    ("unwinding-forgets-the-depth", "jit_tests", "Capture.TooDeepRecursionThrowsStackOverflowAtTheSameDepth"),
    ("store-without-barrier", "jit_tests", "Objects.AReferenceStoreCallsTheBarrierOnlyWhileItIsOn"),
    ("write-check-asks-for-freshness-only", "jit_tests", "Coherence.AWriteNeedsMoreThanAFreshCopy"),
    ("cell-keeps-its-old-entry", "jit_tests", "Provider.CompilesInTheBackgroundAndInstallsItself"),
    # capture and frames
    ("interpreted-capture-drops-a-slot", "runtime_tests", "Zeal/CaptureEvery.kth_safepoint_changes_nothing/0"),
    ("call-is-made-again-after-resume", "runtime_tests", "Zeal/CaptureEvery.kth_safepoint_changes_nothing/0"),
    ("outermost-frame-is-lost", "runtime_tests", "Zeal/CaptureEvery.kth_safepoint_changes_nothing/0"),
    ("resumption-swallows-its-exception", "run/interrupts.ir", "interp"),
    ("reference-slot-taken-for-an-integer", "run/gc_keeps_what_is_reachable.ir", "auto-capture5-gc11"),
    ("image-truncates-i64", "runtime_tests", "ThreadImage.keeps_every_bit_of_every_slot"),
    ("interrupt-flag-stays-behind", "runtime_tests", "ThreadImage.comes_back_as_it_was"),
    # cluster-wide collection
    ("overwritten-reference-is-not-greyed", "runtime_tests", "TraceTest.WhatAStoreOverwritesStays"),
    ("arriving-reference-is-not-greyed", "runtime_tests", "TraceTest.WhatArrivesAndWhatLeavesStays"),
    ("copies-are-not-traced", "runtime_tests", "TraceTest.ACopyIsTracedWhereItIs"),
    ("early-answer-is-no-root", "runtime_tests", "Scheduler.an_answer_that_comes_before_its_thread_has_parked_is_a_root"),
    ("adopted-objects-are-white", "runtime_tests", "TraceTest.WhatGetsItsHomeHereIsNotBuriedInTheSameRound"),
    # moves
    ("thread-leaves-while-its-writes-go-home", "runtime_tests", "Moving.a_thread_stays_until_its_writes_are_home"),
    ("moved-waiter-loses-its-wake-up", "runtime_tests",
     "Moving.an_answer_that_comes_while_the_writes_go_home_leaves_with_the_thread"),
    ("moved-sleep-starts-over", "runtime_tests", "Moving.a_sleeping_thread_sleeps_on_at_its_target"),
    ("run-thread-twice", "runtime_tests", "Moving.a_second_copy_of_a_transfer_is_refused"),
    ("run-accepted-thread-twice", "cluster_tests", "MigrationTest.AThreadRunsAtItsTargetAndNoLongerAtItsSource"),
    ("thread-leaves-before-its-writes", "cluster_tests", "MigrationTest.AThreadLeavesOnlyWhenNothingOfItIsOnItsWay"),
    ("lost-thread-runs-on-here", "cluster_tests", "MigrationTest.AThreadWhoseTargetIsLostNeverRunsAgainAndIsNamed"),
    ("incarnation-is-not-raised", "cluster_tests", "MigrationTest.ARefusedThreadGoesOnWhereItWasUnderANewIncarnation"),
    ("credit-is-not-given-back", "cluster_tests", "MigrationTest.CreditsLimitWhatIsOnItsWayAndNobodyIsForgotten"),
    ("mail-for-a-moving-thread-is-dropped", "cluster_tests", "MigrationTest.MailThatArrivesBeforeItsThreadWaitsForIt"),
    ("older-location-wins", "cluster_tests", "MigrationTest.ALocationThatIsOutOfDateIsIgnored"),
    ("moved-thread-keeps-no-epoch", "cluster_tests", "MigrationTest.AThreadRunsAtItsTargetAndNoLongerAtItsSource"),
    ("frame-that-comes-again-is-handled", "cluster_tests", "Stranger.AFrameThatComesAgainIsHandledOnce"),
    # waits and mail
    ("lost-early-answer", "runtime_tests", "Scheduler.a_query_tells_the_flag_and_is_answered_for_dead_threads_too"),
    ("old-ticket-ends-wait", "runtime_tests", "Scheduler.an_answer_to_an_earlier_wait_is_dropped"),
    ("interrupt-flag-survives", "runtime_tests", "EveryWait/InterruptTest.*"),
    ("interrupt-does-not-wait-for-arrival", "runtime_tests",
     "Scheduler.who_interrupts_a_thread_goes_on_when_the_interrupt_has_arrived"),
    ("interrupt-orders-nothing", "run/interrupts_order_memory.ir", "nodes3-jit"),
    ("slices-never-end", "runtime_tests", "Scheduler.endless_loops_share_the_workers_fairly"),
    ("early-resume-is-lost", "runtime_tests", "Suspension.resuming_races_with_suspending"),
    # monitors
    ("exit-wakes-nobody", "runtime_tests", "SyncHomeTest.a_contended_monitor_is_handed_over_in_order_and_deflates"),
    ("inflate-without-cas", "runtime_tests", "MonitorRace.inflation_meets_an_owner_who_is_leaving"),
    ("wait-forgets-recursion", "runtime_tests", "SyncHomeTest.wait_gives_the_whole_recursion_back_and_restores_it"),
    ("interrupt-eats-notification", "runtime_tests",
     "SyncHomeTest.an_interrupt_after_notify_does_not_eat_the_notification"),
    ("remote-release-does-not-tick", "runtime_tests",
     "SyncHomeTest.a_remote_release_ticks_the_clock_and_its_answer_says_so"),
    # the collector
    ("slots-of-old-objects-are-forgotten", "runtime_tests", "YoungTest.AStoreIntoAnOldObjectKeepsTheYoungOne"),
    ("barrier-does-not-log", "runtime_tests", "CycleTest.WhatWasReachableWhenItBeganIsKept"),
    ("remark-is-left-out", "runtime_tests", "CycleTest.LogsOfTheLastMomentAreMarkedInThePause"),
    ("young-objects-are-white-while-marking", "runtime_tests", "CycleTest.ObjectsMadeWhileMarkingAreKept"),
    # the outside world
    ("outside-call-is-done-again", "runtime_tests", "OutsideTest.a_repeated_call_is_answered_but_not_done_again"),
]


def command(bin_dir, program, test):
    if not program.endswith(".ir"):
        return [os.path.join(bin_dir, program), f"--gtest_filter={test}"]
    return [sys.executable, ROOT / "tests/run/run.py", "--bin", bin_dir, "--ways", test, ROOT / "tests" / program]


def passes(bin_dir, program, test, fault=None, seconds=60):
    env = dict(os.environ)
    env.pop("JVMC_FAULT", None)
    if fault:
        env["JVMC_FAULT"] = fault
    with subprocess.Popen(command(bin_dir, program, test), env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True, errors="replace", start_new_session=True) as process:
        try:
            out, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with what it has started
            return False
    if "[  PASSED  ] 0 tests" in out and "FAILED" not in out:
        sys.exit(f"no such test: {program} {test}")
    return process.returncode == 0


def points():
    """The faults that the sources name."""
    sources = [source for layer in ("ir", "runtime", "jit", "cluster") for source in (ROOT / layer).rglob("*.cpp")]
    return {name for source in sources for name in re.findall(r'JVMC_FAULT\("([^"]+)"\)', source.read_text())}


def present_in(binary):
    content = pathlib.Path(binary).read_bytes()
    return [fault for fault, *_ in FAULTS if fault.encode() in content]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", help="folder of the test programs")
    parser.add_argument("--only", help="one fault")
    parser.add_argument("--list", action="store_true", help="print the faults and their tests")
    parser.add_argument("--absent", nargs="+", metavar="PROGRAM", help="check that programs contain no fault")
    arguments = parser.parse_args()
    if arguments.absent:
        found = {program: present_in(program) for program in arguments.absent}
        for program, faults in found.items():
            print(f"{program}: {', '.join(faults) or 'no fault'}")
        return 1 if any(found.values()) else 0
    if arguments.list or not arguments.bin:
        for fault, program, test in FAULTS:
            print(f"{fault:40} {program} {test}")
        return 0
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    failed = 0
    for fault in sorted(points() ^ {row[0] for row in FAULTS}):
        print(f"NO PAIR {fault}: has a row here or a place in the sources, not both")
        failed += 1
    rows = [row for row in FAULTS if arguments.only in (None, row[0])]
    seconds = {}  # how long each test takes without a fault; None: it fails
    for test in dict.fromkeys(row[1:] for row in rows):
        start = time.monotonic()
        seconds[test] = time.monotonic() - start if passes(arguments.bin, *test) else None

    def judge(row):
        fault, *test = row
        healthy = seconds[tuple(test)]
        if healthy is None:
            return f"BROKEN  {fault}: {test} fails without the fault too"
        # Some are races: a few tries.
        if all(passes(arguments.bin, *test, fault, HANG_SECONDS + 10 * healthy) for _ in range(TRIES)):
            return f"MISSED  {fault}: {test} passes"
        return f"caught  {fault}"

    # Most of those that hang do so idly: several at a time.
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for verdict in pool.map(judge, rows):
            failed += not verdict.startswith("caught")
            print(verdict, flush=True)
    print(f"{len(rows)} seeded faults, {failed} not caught")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
