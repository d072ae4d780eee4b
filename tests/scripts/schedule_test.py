#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The schedule's own tests: what may run beside what, and that every job runs, whatever becomes of the others."""

import threading
import unittest

import schedule
from schedule import ALONE, COMPUTES, WAITS, Job


def jobs(*weights):
    return [Job(None, weight) for weight in weights]


class NextJob(unittest.TestCase):
    def choice(self, waiting, running, processors=2):
        return schedule.next_job(waiting, running, processors)

    def test_a_processor_takes_one_that_computes_or_two_that_wait(self):
        computing, waits = jobs(COMPUTES, WAITS)
        self.assertIs(self.choice([computing], jobs(COMPUTES)), computing)
        self.assertIs(self.choice([computing], jobs(WAITS, WAITS)), computing)
        self.assertIsNone(self.choice([waits], jobs(COMPUTES, COMPUTES)))
        self.assertIs(self.choice([waits], jobs(COMPUTES, WAITS)), waits)
        self.assertIsNone(self.choice([waits], jobs(WAITS, WAITS, WAITS, WAITS)))
        self.assertIs(self.choice([waits], jobs(WAITS), processors=1), waits)

    def test_the_first_of_the_highest_priority_comes_first(self):
        waiting = [Job("a", COMPUTES, 0), Job("b", COMPUTES, 9), Job("c", COMPUTES, 9)]
        self.assertEqual(self.choice(waiting, []).run, "b")

    def test_a_smaller_one_overtakes_what_does_not_fit_yet(self):
        waiting = [Job("wide", COMPUTES, 9), Job("small", WAITS, 0)]
        self.assertEqual(self.choice(waiting, jobs(COMPUTES, WAITS)).run, "small")

    def test_who_is_to_be_alone_is(self):
        alone, computing = jobs(ALONE, COMPUTES)
        self.assertIs(self.choice([computing, alone], []), alone)
        self.assertIs(self.choice([computing, alone], jobs(WAITS)), computing)
        self.assertIsNone(self.choice([alone], jobs(WAITS)))
        self.assertIsNone(self.choice([computing], jobs(ALONE)))

    def test_a_machine_that_is_too_small_runs_it_alone(self):
        wide = Job(None, 2 * COMPUTES)
        self.assertIs(self.choice([wide], [], processors=1), wide)
        self.assertIsNone(self.choice([wide], jobs(WAITS), processors=1))


class Run(unittest.TestCase):
    def test_jobs_of_the_first_source_run_while_the_second_is_being_built(self):
        ran = threading.Event()
        order = []

        def second():
            self.assertTrue(ran.wait(20), "the first source's job did not run meanwhile")
            return [Job(lambda: order.append("second"))]

        def first_job():
            order.append("first")
            ran.set()

        schedule.Schedule(2).run([lambda: [Job(first_job)], second])
        self.assertEqual(order, ["first", "second"])

    def test_sources_are_asked_one_after_the_other_and_one_may_have_nothing(self):
        order = []
        schedule.Schedule(1).run([lambda: order.append("a") or [], lambda: order.append("b") or [Job(lambda: order.append("c"))]])
        self.assertEqual(order, ["a", "b", "c"])

    def test_no_more_run_at_once_than_there_is_room_for(self):
        lock, running, most = threading.Lock(), [], []
        gate = threading.Barrier(2)  # two that compute are there at the same time, or this never opens

        def work():
            with lock:
                running.append(1)
                most.append(len(running))
            gate.wait(20)
            with lock:
                running.pop()

        schedule.Schedule(2).run([lambda: [Job(work) for _ in range(6)]])
        self.assertEqual((len(most), max(most)), (6, 2))

    def test_an_error_of_the_runner_itself_ends_it(self):
        def broken():
            raise KeyError("x")
        with self.assertRaises(KeyError):
            schedule.Schedule(2).run([lambda: [Job(broken)]])


if __name__ == "__main__":
    unittest.main()
