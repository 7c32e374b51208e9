"""Random spaces, configurations and points for tests of properties."""

import contextlib
import random

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st

import bojax.space as bs

_NAMES = ("a", "b", "c", "d", "e", "f")
_CATEGORIES = ("adam", "sgd", "", "a b", None, True, False, 3, 7, 0.5, -2.25)


@contextlib.contextmanager
def _undisturbed_random():
    """Beartype draws which items it checks; hypothesis allows no such thing."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)


def _float(draw, when):
    log = draw(st.booleans())
    low = draw(st.floats(1e-6, 1e3) if log else st.floats(-1e3, 1e3))
    width = draw(st.floats(0.01, 1e3))
    step = draw(st.sampled_from([None, width / 7, width / 2, width]))
    high = low + width
    step = None if step is None or step > high - low else step
    return bs.Float(low, high, log=log, step=step, when=when)


def _int(draw, when):
    log = draw(st.booleans())
    low = draw(st.integers(1, 50) if log else st.integers(-50, 50))
    width = draw(st.integers(1, 60))
    step = draw(st.sampled_from([None, 1, width, (width + 1) // 2]))
    return bs.Int(low, low + width, log=log, step=step, when=when)


def _choice(kind):
    def make(draw, when):
        values = draw(st.lists(st.sampled_from(_CATEGORIES), min_size=1, unique=True))
        return kind(*values, when=when)

    return make


_KINDS = (_float, _int, _choice(bs.Ordinal), _choice(bs.Categorical))


def _condition(draw, parent):
    """What is allowed of a parent, and the same for a sibling that excludes it."""
    if isinstance(parent, bs.Float):
        positions = sorted(draw(st.tuples(st.floats(0, 1), st.floats(0, 1))))
        low, high = (parent.read(parent.scale.where(u)) for u in positions)
        # Closer ends may share their position, and would overlap there.
        if low >= high or positions[1] - positions[0] < 1e-6:
            return (parent.low, parent.high), None
        return (parent.low, low), (high, parent.high)
    if isinstance(parent, bs.Int) and draw(st.booleans()):
        levels = st.integers(0, parent.num_levels - 1)
        # Few, so that there are not too many ways to meet several conditions.
        chosen = draw(st.lists(levels, min_size=1, max_size=3, unique=True))
        others = [i for i in range(parent.num_levels) if i not in chosen]
        values = [[parent.read(i) for i in part] for part in (chosen, others)]
        return values[0], values[1] or None
    if isinstance(parent, bs.Int):
        level = draw(st.integers(0, parent.num_levels - 2))
        middle, after = parent.read(level), parent.read(level + 1)
        last = parent.read(parent.num_levels - 1)
        if draw(st.booleans()):
            return middle, last
        return (parent.low, middle), (after, last)
    chosen = draw(st.lists(st.sampled_from(parent.values), min_size=1, unique=True))
    others = [v for v in parent.values if v not in chosen]
    if len(chosen) == 1 and draw(st.booleans()):
        chosen = chosen[0]
    return chosen, others or None


@st.composite
def spaces(draw, max_names: int = 6, discrete: bool = False):
    """Spaces with conditions several levels deep, and several specifications a name."""
    with _undisturbed_random():
        return _space(draw, max_names, [_int, *_KINDS[2:]] if discrete else _KINDS)


def _space(draw, max_names, kinds):
    parameters: dict = {}
    for name in draw(st.permutations(_NAMES))[: draw(st.integers(1, max_names))]:
        singles = [p for p, specs in parameters.items() if len(specs) == 1]
        make = draw(st.sampled_from(kinds))
        if not singles or draw(st.booleans()):
            parameters[name] = [make(draw, None)]
            continue
        parent = draw(st.sampled_from(singles))
        allowed, others = _condition(draw, parameters[parent][0])
        also = draw(st.sampled_from(singles))
        more = {also: _condition(draw, parameters[also][0])[0]}
        more = more if also != parent and draw(st.booleans()) else {}
        specs = [make(draw, more | {parent: allowed})]
        if others is not None and draw(st.booleans()):
            specs.append(draw(st.sampled_from(kinds))(draw, {parent: others}))
        parameters[name] = specs
    order = draw(st.permutations(list(parameters)))
    try:
        return bs.Space({name: parameters[name] for name in order})
    except ValueError as error:
        # Two parents may exclude each other: that is refused, and rightly so.
        if "can be met together" not in str(error):
            raise
        return reject()


def points(d: int):
    """Points of the cube, its corners and ties among them."""
    number = st.one_of(
        st.floats(0, 1, width=32),
        st.sampled_from([0.0, 0.25, 1 / 3, 0.5, 2 / 3, 0.75, 1.0]),
    )
    return st.lists(number, min_size=d, max_size=d).map(np.array)


@st.composite
def spaces_and_points(draw, **kwargs):
    """A space and one of its points, not projected."""
    space = draw(spaces(**kwargs))
    return space, draw(points(space.num_columns))
