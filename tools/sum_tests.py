#!/usr/bin/env python3
"""Sums up meson's test logs in one line: N passed, N failed, N skipped.

A test program on the check library counts with each of its checks, as its own lines
("100%: Checks: 12, Failures: 0, Errors: 0") say; any other test counts as one. A line that
begins with "skipped:" counts as one that was skipped. A log that is missing, a log without tests, a
test that timed out, and a program that failed although its checks passed each count as a failure.
Before that line stand the tests that failed, each with the lines that tell why, so that the end of
a long log is enough to know.

Usage: sum_tests.py [--failed-stages N] TESTLOG.json...
  --failed-stages N   N builds or runs failed as a whole; where no test in the logs tells of it, it
                      counts as a failure
Exits with 1 where anything failed or nothing passed.
"""

import argparse
import json
import re
import sys

CHECKS = re.compile(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)$", re.MULTILINE)
SKIPPED = re.compile(r"^skipped:", re.MULTILINE | re.IGNORECASE)
GOOD, SKIP = {"OK", "EXPECTEDFAIL"}, {"SKIP"}
# What the check library, unittest and the sanitizers say of a failure.
TELLING = re.compile(r"^\S+:\d+:[FE]:|^(FAIL|ERROR|AssertionError)\b|^\w+(Error|Expired): "
                     r"|ERROR: \w+Sanitizer|runtime error: |^SUMMARY: ")
LINES_SHOWN = 8
COLUMNS_SHOWN = 400


def sum_test(test):
    """Passed, failed and skipped of one entry of a log."""
    output = test.get("stdout", "")
    totals = [tuple(map(int, match)) for match in CHECKS.findall(output)]
    failed = sum(failures + errors for _, failures, errors in totals)
    passed = sum(checks for checks, _, _ in totals) - failed
    skipped = len(SKIPPED.findall(output))
    if test["result"] in SKIP:
        return passed, failed, max(skipped, 1)
    if test["result"] in GOOD:
        return passed if totals else 1, failed, skipped
    return passed, max(failed, 1), skipped


def tell_failure(test):
    """Names a test that failed, and prints the lines of its output that tell why: those that look
    like it, else the last ones."""
    lines = [line for stream in ("stdout", "stderr") for line in test.get(stream, "").splitlines()
             if line.strip()]
    telling = [line for line in lines if TELLING.search(line)][:LINES_SHOWN]
    print(f"failed: {test['name']} ({test['result']}, {test.get('duration', 0):.0f} s)")
    for line in telling or lines[-LINES_SHOWN:]:
        print(f"  {line[:COLUMNS_SHOWN]}")


def read_tests(path):
    with open(path, encoding="utf-8", errors="replace") as log:
        return [json.loads(line) for line in log if line.strip()]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--failed-stages", type=int, default=0)
    parser.add_argument("logs", nargs="*")
    arguments = parser.parse_args()
    totals = [0, 0, 0]
    for path in arguments.logs:
        try:
            tests = read_tests(path)
        except (OSError, ValueError) as error:
            print(f"{path} cannot be read: {error}")
            tests = []
        if not tests:
            print(f"{path} holds no tests")
            totals[1] += 1
        for test in tests:
            counts = sum_test(test)
            if counts[1] > 0:
                tell_failure(test)
            totals = [total + more for total, more in zip(totals, counts)]
    passed, failed, skipped = totals
    failed = max(failed, arguments.failed_stages)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 0 if passed > 0 and failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
