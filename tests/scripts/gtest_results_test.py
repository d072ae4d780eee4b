#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The runner's own tests: no way of failing may be counted as anything else."""

import json
import pathlib
import tempfile
import unittest

import gtest_results


def report(*cases):
    return {"testsuites": [{"name": "S", "testsuite": list(cases)}]}


def completed(name, **more):
    return {"name": name, "status": "RUN", "result": "COMPLETED", **more}


class OfGtest(unittest.TestCase):
    def outcome(self, content, output="", returncode=0, timed_out=False):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "r.json"
            if content is not None:
                path.write_text(content if isinstance(content, str) else json.dumps(content))
            return gtest_results.of_gtest("prog", path, output, returncode, timed_out)

    def test_cases_are_counted(self):
        outcome = self.outcome(report(completed("a"), completed("b")))
        self.assertEqual((outcome.passed, outcome.skips, outcome.failures), (2, [], []))

    def test_a_failure_shows_what_the_case_printed(self):
        output = "[ RUN      ] S.a\nfile.cpp:3: Failure\n1 != 2\n[  FAILED  ] S.a (0 ms)\n"
        outcome = self.outcome(report(completed("a", failures=[{"failure": "x"}]), completed("b")), output, 1)
        self.assertEqual(outcome.passed, 1)
        self.assertEqual(outcome.failures, [("S.a", "file.cpp:3: Failure\n1 != 2")])

    def test_a_skip_carries_its_reason(self):
        output = "[ RUN      ] S.a\nnoise\nfile.cpp:3: Skipped\nno\n  root\n[  SKIPPED ] S.a (0 ms)\n"
        outcome = self.outcome(report({"name": "a", "status": "RUN", "result": "SKIPPED"}), output)
        self.assertEqual((outcome.passed, outcome.skips), (0, [("S.a", "no root")]))

    def test_a_disabled_case_is_a_skip(self):
        outcome = self.outcome(report({"name": "DISABLED_a", "status": "NOTRUN", "result": "SUPPRESSED"}))
        self.assertEqual(len(outcome.skips), 1)

    def test_a_crash_fails_the_running_case_and_keeps_what_was_before_it(self):
        output = ("[ RUN      ] S.a\n[       OK ] S.a (0 ms)\n"
                  "[ RUN      ] S.b\n[  FAILED  ] S.b (0 ms)\n[ RUN      ] S.c\nassertion failed\n")
        outcome = self.outcome(None, output, -6)
        self.assertEqual(outcome.passed, 1)
        self.assertEqual([case for case, _ in outcome.failures], ["S.b", "S.c"])
        self.assertIn("signal 6", outcome.failures[1][1])

    def test_no_report_fails_even_with_exit_code_zero(self):
        self.assertEqual(len(self.outcome(None, "", 0).failures), 1)
        self.assertEqual(len(self.outcome("{half", "", 0).failures), 1)

    def test_no_case_fails(self):
        self.assertEqual(len(self.outcome(report()).failures), 1)

    def test_a_leak_found_at_exit_fails(self):
        outcome = self.outcome(report(completed("a")), "LeakSanitizer: detected memory leaks", 23)
        self.assertEqual(outcome.passed, 1)
        self.assertIn("LeakSanitizer", outcome.failures[0][1])

    def test_a_time_out_fails(self):
        self.assertEqual(len(self.outcome(report(completed("a")), "", 0, timed_out=True).failures), 1)


class OfScript(unittest.TestCase):
    def test_exit_codes(self):
        self.assertEqual(gtest_results.of_script("s", "", 0, False).passed, 1)
        self.assertEqual(gtest_results.of_script("s", "x\nno tool\n", 77, False).skips, [("s", "no tool")])
        self.assertEqual(len(gtest_results.of_script("s", "", 1, False).failures), 1)
        self.assertEqual(len(gtest_results.of_script("s", "", -9, True).failures), 1)


if __name__ == "__main__":
    unittest.main()
