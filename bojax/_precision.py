"""The one door to double precision, and to a single BLAS thread."""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer


class _Layout(NamedTuple):
    """How a flat list of arrays becomes a pytree again."""

    treedef: Any
    static: tuple  # for each leaf None, an array, or (type, value)

    def pack(self, arrays: Iterable[Any]) -> Any:
        arrays = iter(arrays)
        leaves = [next(arrays) if leaf is None else leaf[1] for leaf in self.static]
        return jax.tree.unflatten(self.treedef, leaves)


class Held:
    """A pytree in double precision, out of reach of what would narrow it again.

    Any operation outside of the door turns JAX's float64 into float32, so its arrays
    are seen as NumPy's only. They wait in a flat list, because taking apart and putting
    together the modules of a strategy at each call takes longer than many a call.
    """

    def __init__(self, arrays: Sequence[Any], layout: _Layout):
        self._arrays = arrays
        self._layout = layout

    def numpy(self) -> Any:
        """The tree, its arrays as NumPy's; keys stay keys."""
        return self._layout.pack(map(_as_numpy, self._arrays))

    def __reduce__(self) -> tuple:
        return hold, (self.numpy(),)


def hold(tree: Any) -> Held:
    """Takes a tree in: its floating leaves, Python's floats among them, as float64."""
    held = _unpack(tree)
    with jax.enable_x64(True):
        return Held([jnp.asarray(array) for array in held._arrays], held._layout)


def in_double(function: Callable, *args: Any) -> Any:
    """`function(*args)`, compiled, in float64 and on one BLAS thread.

    JAX's precision is a setting of the thread, not of a function, and what runs under
    it inherits it. So nothing but this package's own computations goes through here,
    never a user's function, a callback or a generator.

    Args:
        function: a pure function, the same object at every call, so that it is compiled
            once.
        *args: `Held`, or pytrees that are widened for the call. Leaves that are neither
            arrays nor floats are static: each value is a compilation.

    Returns:
        What the function returns, held; of a tuple each element.

    Raises:
        RuntimeError: under a JAX transformation, whose precision is already settled.

    Example:
        >>> in_double(jnp.sqrt, 2.0).numpy()
        array(1.41421356)
        >>> jnp.sqrt(2.0).dtype
        dtype('float32')
    """
    inputs = [arg if isinstance(arg, Held) else _unpack(arg) for arg in args]
    compiled, layouts = _compiled(function, tuple(arg._layout for arg in inputs))
    with one_blas_thread(), jax.enable_x64(True):
        results = compiled([arg._arrays for arg in inputs])
        for array in jax.tree.leaves(results)[:1]:
            _refuse_tracer(array)
        jax.block_until_ready(results)
    held = [Held(*result) for result in zip(results, layouts, strict=True)]
    return tuple(held) if len(held) > 1 else held[0]


@functools.lru_cache(maxsize=512)
def _compiled(
    function: Callable, layouts: tuple[_Layout, ...]
) -> tuple[Callable, list[_Layout]]:
    """A function from flat arrays to flat results, and the layouts of those."""
    result_layouts = []

    def flat(arrays: list[list]) -> list[list]:
        results = function(*map(_Layout.pack, layouts, arrays))
        results = results if type(results) is tuple else (results,)
        flattened = [jax.tree.flatten(result) for result in results]
        result_layouts[:] = [
            _Layout(treedef, (None,) * len(leaves)) for leaves, treedef in flattened
        ]
        return [leaves for leaves, _ in flattened]

    flat.__name__ = getattr(function, "__name__", "flat")
    return jax.jit(flat), result_layouts


def _unpack(tree: Any) -> Held:
    leaves, treedef = jax.tree.flatten(tree)
    leaves = [_widen(leaf) for leaf in leaves]
    arrays = [leaf for leaf in leaves if isinstance(leaf, _ARRAYS)]
    static = (
        None if isinstance(leaf, _ARRAYS) else (type(leaf), leaf) for leaf in leaves
    )
    return Held(arrays, _Layout(treedef, tuple(static)))


_ARRAYS = (np.ndarray, jax.Array)


def _widen(leaf: Any) -> Any:
    _refuse_tracer(leaf)
    if isinstance(leaf, float | np.generic):
        leaf = np.asarray(leaf)
    dtype = getattr(leaf, "dtype", None)
    if dtype == np.float64 or not isinstance(dtype, np.dtype) or dtype.kind in "biu":
        return leaf
    # bfloat16 and its like are of no kind that NumPy knows.
    if not jnp.issubdtype(dtype, jnp.floating):
        return leaf
    return np.asarray(leaf).astype(np.float64)


def _as_numpy(leaf: Any) -> Any:
    is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.extended)
    return leaf if is_key else np.asarray(leaf)


def _refuse_tracer(leaf: Any) -> None:
    if isinstance(leaf, Tracer):
        raise RuntimeError(
            "double precision: expected concrete arrays, got a tracer. Under jit, "
            "vmap, grad or scan use a strategy's init, ask and tell, or bojax.simulate"
        )


class _Threads:
    """BLAS thread counts as they were before the first of those who are inside now."""

    def __init__(self):
        self.lock = threading.Lock()
        self.inside = 0
        self.libraries: list | None = None
        self.counts: list[int] = []


_threads = _Threads()


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limits BLAS to one thread: the matrices here are too small to share.

    The limit holds for the process, so overlapping ones must nest: the first to come in
    sets it, the last to go out restores what the first had found.
    """
    with _threads.lock:
        if _threads.inside == 0:
            if _threads.libraries is None:
                _threads.libraries = _blas_libraries()
            _threads.counts = [lib.get_num_threads() for lib in _threads.libraries]
            for library in _threads.libraries:
                library.set_num_threads(1)
        _threads.inside += 1
    try:
        yield
    finally:
        with _threads.lock:
            _threads.inside -= 1
            if _threads.inside == 0:
                counted = zip(_threads.libraries or (), _threads.counts, strict=True)
                for library, count in counted:
                    library.set_num_threads(count)


def _blas_libraries() -> list:
    # JAX takes its BLAS from here at its first factorization; a scan sees only what is
    # loaded.
    import scipy.linalg.cython_lapack  # noqa: F401
    import threadpoolctl

    found = threadpoolctl.ThreadpoolController().lib_controllers
    return [library for library in found if library.user_api == "blas"]
