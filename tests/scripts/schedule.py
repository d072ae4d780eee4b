# SPDX-License-Identifier: Apache-2.0
"""Which test runs when: as many beside each other as the processors carry, the longest first."""

import dataclasses
import queue
import threading

# What a test takes of the machine, in halves of a processor. `ALONE` is all of it, however large it is.
WAITS, COMPUTES, ALONE = 1, 2, 0


@dataclasses.dataclass
class Job:
    run: callable
    weight: int = COMPUTES
    priority: int = 0  # higher ones come first


def next_job(waiting, running, processors):
    """Of those that wait the one to start now, or None. Smaller ones may overtake what does not fit yet, so that no
    processor idles; a job that is wider than the machine counts as one that is to be alone."""
    if any(job.weight == ALONE for job in running):
        return None
    free = 2 * processors - sum(job.weight for job in running)
    for job in sorted(waiting, key=lambda each: (each.weight != ALONE, -each.priority)):
        alone = job.weight == ALONE or job.weight > 2 * processors
        if not running if alone else job.weight <= free:
            return job
    return None


class Schedule:
    """Belongs to the thread that calls `run`. Sources bring jobs from threads of their own, so that tests run while
    others are still being built."""

    def __init__(self, processors):
        self._processors = processors
        self._events = queue.Queue()
        self._waiting = []
        self._running = []

    def _start(self, work, done):
        def body():
            try:
                result, error = work(), None
            except BaseException as caught:  # pylint: disable=broad-except
                result, error = None, caught
            self._events.put((done, result, error))
        threading.Thread(target=body, daemon=True).start()

    def _fill(self):
        while job := next_job(self._waiting, self._running, self._processors):
            self._waiting.remove(job)
            self._running.append(job)
            self._start(job.run, lambda _, job=job: self._running.remove(job))

    def run(self, sources):
        """Calls the sources one after the other, each for the list of its jobs, and runs these. Returns when all is
        done; what one of them throws is thrown here, since jobs tell of failures by themselves."""
        sources = list(sources)
        building = False

        def take(jobs):
            nonlocal building
            building = False
            self._waiting += jobs

        while sources or building or self._waiting or self._running:
            if sources and not building:
                building = True
                self._start(sources.pop(0), take)
            self._fill()
            done, result, error = self._events.get()
            if error:
                raise error
            done(result)
