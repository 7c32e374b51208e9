"""A cache of fitness by hash: least recently used goes first, as arrays for numba."""

from typing import NamedTuple

import numpy as np

from bojax.zero._compile import inlined

FORGET_AFTER = 100
"""An entry is forgotten after as many hits, so that no collision lasts for ever."""

_NEWER, _OLDER, _NEXT, _HITS = range(4)
_SIZE, _NEWEST, _OLDEST, _FREE = range(4)


class Cache(NamedTuple):
    """A hash table with chains, whose entries are in a list by last use.

    Args:
        keys: of each entry.
        values: of each entry.
        links: the newer entry, the older one, the next one of the chain, hits, [4, n].
        buckets: the first entry of each chain, -1 for none.
        ends: how many entries, the newest, the oldest, the first that was dropped.
    """

    keys: np.ndarray
    values: np.ndarray
    links: np.ndarray
    buckets: np.ndarray
    ends: np.ndarray


def empty(capacity: int) -> Cache:
    """A cache with room for as many entries."""
    num_buckets = 1 << max(1, int(2 * capacity - 1).bit_length())
    return Cache(
        np.zeros(capacity, np.int64),
        np.zeros(capacity),
        np.full((4, capacity), -1, np.int64),
        np.full(num_buckets, -1, np.int64),
        np.array([0, -1, -1, -1], np.int64),
    )


@inlined
def unlink(cache, entry):
    """Takes an entry out of the list by last use."""
    links, ends = cache.links, cache.ends
    newer, older = links[_NEWER, entry], links[_OLDER, entry]
    if newer >= 0:
        links[_OLDER, newer] = older
    else:
        ends[_NEWEST] = older
    if older >= 0:
        links[_NEWER, older] = newer
    else:
        ends[_OLDEST] = newer


@inlined
def put_first(cache, entry):
    """Makes an entry the newest."""
    links, ends = cache.links, cache.ends
    newest = ends[_NEWEST]
    links[_NEWER, entry], links[_OLDER, entry] = -1, newest
    if newest >= 0:
        links[_NEWER, newest] = entry
    else:
        ends[_OLDEST] = entry
    ends[_NEWEST] = entry


@inlined
def drop(cache, entry):
    """Forgets an entry."""
    unlink(cache, entry)
    links = cache.links
    bucket = cache.keys[entry] & (len(cache.buckets) - 1)
    at = cache.buckets[bucket]
    if at == entry:
        cache.buckets[bucket] = links[_NEXT, entry]
    else:
        while links[_NEXT, at] != entry:
            at = links[_NEXT, at]
        links[_NEXT, at] = links[_NEXT, entry]
    links[_NEXT, entry] = cache.ends[_FREE]
    cache.ends[_FREE] = entry


@inlined
def find(cache, key):
    """The entry of a key, now the newest, or -1.

    Its value is `cache.values[entry]`, until something is inserted.
    """
    entry = cache.buckets[key & (len(cache.buckets) - 1)]
    while entry >= 0 and cache.keys[entry] != key:
        entry = cache.links[_NEXT, entry]
    if entry >= 0:
        cache.links[_HITS, entry] += 1
        if cache.links[_HITS, entry] >= FORGET_AFTER:
            drop(cache, entry)
        else:
            unlink(cache, entry)
            put_first(cache, entry)
    return entry


@inlined
def insert(cache, key, value):
    """Adds a key that is not there; the oldest entry makes room."""
    ends = cache.ends
    if ends[_FREE] < 0 and ends[_SIZE] == len(cache.keys):
        drop(cache, ends[_OLDEST])
    if ends[_FREE] >= 0:
        entry = ends[_FREE]
        ends[_FREE] = cache.links[_NEXT, entry]
    else:
        entry = ends[_SIZE]
        ends[_SIZE] += 1
    cache.keys[entry] = key
    cache.values[entry] = value
    cache.links[_HITS, entry] = 0
    bucket = key & (len(cache.buckets) - 1)
    cache.links[_NEXT, entry] = cache.buckets[bucket]
    cache.buckets[bucket] = entry
    put_first(cache, entry)
