# SPDX-License-Identifier: MIT OR Apache-2.0
# Copyright (c) 2026 the afmpeg authors

"""A plugin of pytest for `cargo xtask clients`: each test's outcome, a JSON object a line, in the file that AFMPEG_OUTCOMES names.

Of the tests only those are run that AFMPEG_ONLY lists in JSON, where it is there."""

import json
import os


def pytest_collection_modifyitems(items):
    only = json.loads(os.environ.get("AFMPEG_ONLY", "null"))
    if only is not None:
        items[:] = [item for item in items if item.nodeid in only]


def pytest_runtest_logreport(report):
    # A test has up to three reports: of its preparation, of itself, and of what comes after.
    if report.when != "call" and report.passed:
        return
    message = str(report.longrepr).strip().splitlines()[-1] if report.failed else ""
    with open(os.environ["AFMPEG_OUTCOMES"], "a", encoding="utf-8") as file:
        print(json.dumps({"test": report.nodeid, "outcome": report.outcome, "message": message}), file=file)


def pytest_collectreport(report):
    if report.failed:
        with open(os.environ["AFMPEG_OUTCOMES"], "a", encoding="utf-8") as file:
            message = str(report.longrepr).strip().splitlines()[-1]
            print(json.dumps({"test": report.nodeid, "outcome": "failed", "message": message}), file=file)
