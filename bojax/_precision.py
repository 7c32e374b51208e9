"""The one door to double precision, and to a single BLAS thread."""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer


@jax.tree_util.register_pytree_node_class
class Held:
    """A pytree in double precision, out of reach of what would narrow it again.

    Any operation outside of the door turns JAX's float64 into float32, so its arrays
    are seen as NumPy's only. They wait in a flat list, because taking apart and putting
    together the modules of a strategy at each call takes longer than many a call.

    Args:
        arrays: the leaves that are arrays.
        static: for each leaf `None`, an array, or its `(type, value)`.
        treedef: how the leaves become the tree.
    """

    def __init__(self, arrays: list, static: tuple, treedef: Any):
        self._arrays = arrays
        self._static = static
        self._treedef = treedef

    def numpy(self) -> Any:
        """The tree, its arrays as NumPy's; keys stay keys."""
        return self._tree(map(_as_numpy, self._arrays))

    def _tree(self, arrays: Iterable[Any]) -> Any:
        arrays = iter(arrays)
        leaves = [next(arrays) if leaf is None else leaf[1] for leaf in self._static]
        return jax.tree.unflatten(self._treedef, leaves)

    def _with_given(self, given: list) -> "Held":
        """The same with what the function only handed on from its arguments."""
        computed = iter(self._arrays)
        arrays, static = [], []
        for leaf in self._static:
            if leaf is None:
                arrays.append(next(computed))
            elif leaf[0] is _Given:
                arrays.append(given[leaf[1]])
            static.append(None if leaf is None or leaf[0] is _Given else leaf)
        return Held(arrays, tuple(static), self._treedef)

    def __reduce__(self) -> tuple:
        return hold, (self.numpy(),)

    def tree_flatten(self) -> tuple:
        """For JAX: one list of arrays; the rest decides what is compiled anew."""
        return (self._arrays,), (self._static, self._treedef)

    @classmethod
    def tree_unflatten(cls, aux: tuple, children: tuple) -> "Held":
        """For JAX."""
        return cls(*children, *aux)


class _Given(int):
    """The place of an argument's array that a result is: to return it takes time."""


def hold(tree: Any) -> Held:
    """Takes a tree in: its floating leaves, Python's floats among them, as float64."""
    held = _flat(tree, _widen)
    with _double():
        return jax.tree.map(jnp.asarray, held)


def in_double(function: Callable, *args: Any) -> Any:
    """`function(*args)`, compiled, in float64, on the CPU and on one BLAS thread.

    JAX's precision is a setting of the thread, not of a function, and what runs under
    it inherits it. So nothing but this package's own computations goes through here,
    never a user's function, a callback or a generator. They are loops over small
    matrices, for which accelerators are slow, and some have no float64 at all.

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
    args = tuple(arg if isinstance(arg, Held) else _flat(arg, _widen) for arg in args)
    with one_blas_thread(), _double():
        try:
            results = _compiled(function)(*args)
        except ValueError:
            # JAX refuses options of compilation where something else is being traced.
            _refuse_tracer(jnp.asarray(np.float32(0)))
            raise
        for leaf in jax.tree.leaves(results)[:1]:
            _refuse_tracer(leaf)
        jax.block_until_ready(results)
    given = [array for arg in args for array in arg._arrays]
    if isinstance(results, Held):
        return results._with_given(given)
    return tuple(result._with_given(given) for result in results)


@contextlib.contextmanager
def _double() -> Iterator[None]:
    # What a user's code is checked for is not to stop this package's own: NaN, say,
    # is what a trial that failed has for a value.
    with (
        jax.default_device(_cpu()),
        jax.enable_x64(True),
        jax.debug_nans(False),
        jax.debug_infs(False),
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
    ):
        yield


@functools.cache
def _cpu() -> Any:
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:  # JAX was told to do without
        return None


@functools.cache
def _compiled(function: Callable) -> Callable:
    def call(*args: Held) -> Held | tuple[Held, ...]:
        given = [array for arg in args for array in arg._arrays]
        handed_on = {id(array): _Given(place) for place, array in enumerate(given)}

        def flat(tree: Any) -> Held:
            return _flat(tree, lambda leaf: handed_on.get(id(leaf), leaf))

        results = function(*(held._tree(held._arrays) for held in args))
        return tuple(map(flat, results)) if type(results) is tuple else flat(results)

    call.__name__ = getattr(function, "__name__", "call")
    return jax.jit(call, compiler_options=compiler_options())


@functools.cache
def compiler_options() -> dict[str, bool | int] | None:
    """XLA's older code generator, and less of LLVM's work: half the time to compile.

    What runs afterwards is as fast, for the time goes to BLAS. XLA's options come and
    go; where one of these is unknown there are none.
    """
    options = {
        "xla_cpu_use_fusion_emitters": False,
        "xla_backend_optimization_level": 1,
    }
    try:
        jax.jit(jnp.negative, compiler_options=options).lower(0.0).compile()
    except jax.errors.JaxRuntimeError:
        return None
    return options


def _flat(tree: Any, change: Callable) -> Held:
    leaves, treedef = jax.tree.flatten(tree)
    leaves = [change(leaf) for leaf in leaves]
    static = tuple(
        None if isinstance(leaf, _ARRAYS) else (type(leaf), leaf) for leaf in leaves
    )
    arrays = [leaf for leaf in leaves if isinstance(leaf, _ARRAYS)]
    return Held(arrays, static, treedef)


_ARRAYS = (np.ndarray, jax.Array)


def _widen(leaf: Any) -> Any:
    _refuse_tracer(leaf)
    if isinstance(leaf, float | np.generic):
        leaf = np.asarray(leaf)
    if not isinstance(leaf, _ARRAYS):
        return leaf
    # Nothing is committed to a device: results of what is would be too, and the next
    # call, with one of these in place of another array, would be compiled again.
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        with jax.default_device(_cpu()):
            data = jnp.asarray(np.asarray(jax.random.key_data(leaf)))
            return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
    leaf = np.asarray(leaf)
    # bfloat16 and its like are of no kind that NumPy knows: hence JAX's subtypes.
    floating = jnp.issubdtype(leaf.dtype, jnp.floating)
    return leaf.astype(np.float64) if floating else leaf


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
