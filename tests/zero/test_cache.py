"""The cache of fitness: what is kept, and for how long."""

from collections import OrderedDict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bojax.zero import cache as caches


def get(cache, key):
    entry = caches.find(cache, key)
    return None if entry < 0 else float(cache.values[entry])


def test_the_least_recently_used_goes_first():
    cache = caches.empty(3)
    for key in (1, 2, 3):
        caches.insert(cache, key, key / 10)
    assert get(cache, 1) == 0.1
    caches.insert(cache, 4, 0.4)
    assert [get(cache, key) for key in (1, 2, 3, 4)] == [0.1, None, 0.3, 0.4]


def test_what_went_can_come_again():
    cache = caches.empty(2)
    for key in (1, 2, 3):
        caches.insert(cache, key, key / 10)
    assert get(cache, 1) is None
    caches.insert(cache, 1, 0.7)
    assert get(cache, 1) == 0.7
    assert get(cache, 2) is None


def test_an_entry_is_forgotten_after_a_hundred_hits():
    cache = caches.empty(5)
    caches.insert(cache, 9, 0.9)
    hits = 0
    while get(cache, 9) is not None:
        hits += 1
    assert hits == caches.FORGET_AFTER
    caches.insert(cache, 9, 0.5)
    assert get(cache, 9) == 0.5


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12)), max_size=200))
def test_it_is_an_ordered_dictionary(steps):
    capacity = 5
    cache, model = caches.empty(capacity), OrderedDict()
    for step, (inserts, key) in enumerate(steps):
        key *= 1 << 40  # collides in its low bits
        if inserts and key not in model:
            if len(model) == capacity:
                model.popitem(last=False)
            model[key] = [float(step), 0]
            assert get_missing(cache, key)
            caches.insert(cache, key, float(step))
        elif not inserts:
            value = get(cache, key)
            if key in model:
                assert value == model[key][0]
                model.move_to_end(key)
                model[key][1] += 1
                if model[key][1] == caches.FORGET_AFTER:
                    del model[key]
            else:
                assert value is None


def get_missing(cache, key):
    return caches.find(cache, key) < 0


def test_it_is_empty_at_first():
    assert caches.find(caches.empty(4), np.int64(0)) < 0
