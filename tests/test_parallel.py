import os
import platform
import resource
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor as Pool
from contextlib import closing

import pytest

from landvisor.parallel import count_workers, map_ahead, map_ordered, work_ahead


@pytest.mark.parametrize("workers", [None, 1, 2, 7])
def test_results_come_in_the_order_of_the_items(workers):
    assert map_ordered(lambda n: n * n, range(50), workers=workers) == [n * n for n in range(50)]


def test_nothing_to_do_gives_nothing():
    assert map_ordered(str, [], workers=4) == []


def test_several_workers_are_at_work_at_one_time():
    meeting = threading.Barrier(3, timeout=10)
    assert len(map_ordered(lambda _: meeting.wait(), range(3), workers=3)) == 3


def test_one_worker_stays_in_the_calling_thread():
    own = threading.get_ident()
    assert set(map_ordered(lambda _: threading.get_ident(), range(5), workers=1)) == {own}


@pytest.mark.parametrize("workers", [1, 4])
def test_the_first_failing_item_is_told_and_the_rest_dropped(workers):
    begun = []

    def fail(item):
        begun.append(item)
        if item in (3, 40):
            raise ValueError(item)

    with pytest.raises(ValueError, match=r"^3$"):
        map_ordered(fail, range(10_000), workers=workers)
    assert len(begun) < 10_000


def test_workers_are_counted_within_limits():
    assert count_workers(3) == 3
    assert 1 <= count_workers() <= 8


def test_working_ahead_yields_what_the_generator_does():
    assert list(work_ahead((number * number for number in range(50)), most=1)) == [
        number * number for number in range(50)
    ]
    assert list(work_ahead([], most=2)) == []


def test_work_goes_on_while_the_last_item_is_used():
    made = []

    def make():
        for number in range(4):
            made.append(number)
            yield number

    items = work_ahead(make(), most=1)
    assert next(items) == 0
    wait_until(lambda: len(made) == 3)  # one waits, one is ready to
    assert list(items) == [1, 2, 3]


def test_an_exception_comes_after_the_items_before_it():
    def make():
        yield 1
        raise KeyError("lost")

    items = work_ahead(make(), most=5)
    assert next(items) == 1
    with pytest.raises(KeyError, match="lost"):
        next(items)


def test_whoever_stops_asking_ends_the_work():
    ended = []

    def make():
        try:
            yield from range(10**9)
        finally:
            ended.append(threading.current_thread())

    before = threading.active_count()
    for item in work_ahead(make(), most=2):
        if item == 3:
            break
    wait_until(lambda: ended and threading.active_count() == before)
    assert ended[0] is not threading.current_thread()


def test_chained_stages_all_end_when_the_last_one_is_closed():
    before = threading.active_count()
    first = work_ahead(iter(range(10**9)), most=1)

    def pass_on():
        with closing(first):
            yield from first

    second = work_ahead(pass_on(), most=1)
    assert next(second) == 0
    second.close()
    wait_until(lambda: threading.active_count() == before)


def test_a_pool_works_ahead_and_results_stay_in_order():
    taken = []

    def items():
        for number in range(20):
            taken.append(number)
            yield number

    with Pool(3) as pool:
        results = map_ahead(pool, lambda number: number * number, items(), most=4)
        assert next(results) == 0
        assert len(taken) == 4  # no more than that is in work
        assert list(results) == [number * number for number in range(1, 20)]


def test_what_a_pool_has_not_begun_is_dropped():
    begun = []

    def work(number):
        begun.append(number)
        time.sleep(0.01)
        if number == 2:
            raise KeyError(number)
        return number

    with Pool(1) as pool, pytest.raises(KeyError, match="2"):
        list(map_ahead(pool, work, iter(range(100)), most=3))
    assert len(begun) <= 6


def wait_until(done):
    for _ in range(1000):
        if done():
            return
        time.sleep(0.01)
    raise AssertionError("waited for ten seconds")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="heaps are glibc's")
@pytest.mark.parametrize("shared", [False, True])
def test_threads_get_heaps_of_their_own_unless_one_is_shared(shared):
    program = f"""
import ctypes, sys, tempfile, threading
from landvisor.parallel import share_heap
{"share_heap()" if shared else ""}
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
barrier = threading.Barrier(4)
def hold():
    libc.malloc(100_000)
    barrier.wait()
threads = [threading.Thread(target=hold) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
libc.fopen.restype = ctypes.c_void_p
with tempfile.NamedTemporaryFile() as file:
    out = libc.fopen(file.name.encode(), b"w")
    libc.malloc_info(0, ctypes.c_void_p(out))
    libc.fclose(ctypes.c_void_p(out))
    print(file.read().count(b"<heap nr="))
"""
    own = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, env=own, check=True, capture_output=True, text=True)
    heaps = int(done.stdout)
    assert heaps == 1 if shared else heaps > 1


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="heaps are glibc's")
@pytest.mark.parametrize("kept", [False, True])
def test_freed_memory_is_used_again_where_dask_gives_it_back(kept):
    program = f"""
import ctypes, resource
from landvisor.parallel import keep_heap
{"keep_heap()" if kept else ""}
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
for _ in range(100):
    held = ctypes.c_void_p(libc.malloc(1 << 20))
    libc.memset(held, 1, 1 << 20)
    libc.free(held)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""
    words, own = [sys.executable, "-c", program], os.environ | {"MALLOC_TRIM_THRESHOLD_": "65536"}
    done = subprocess.run(words, env=own, check=True, capture_output=True, text=True)
    touched = 100 * (1 << 20) // resource.getpagesize()
    assert (int(done.stdout) < touched / 2) == kept
