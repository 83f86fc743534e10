import threading

import pytest

from landvisor.parallel import count_workers, map_ordered


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
