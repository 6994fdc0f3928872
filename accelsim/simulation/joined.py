"""A step of a rule on a problem, its gradients sampled in place, as one program: what kernels are written from.

Beside the nodes of a rule (see `program`) there are those of a sampler: constants of the problem, random numbers,
products with matrices, entries picked by an index, and means over the samples of a batch. Two kinds are added:

* ``table``: a constant that is neither a vector over coordinates nor a number;
* ``index``: a whole number a replica.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple, Protocol

from accelsim import program
from accelsim.program import Node, Tape
from accelsim.rule import Optimizer
from accelsim.spectra import Array


class Random(NamedTuple):
    """Which random number a node is: words of its counter, and the batch whose sample it belongs to, if any."""

    stage: int
    stream: int
    block: int = 0
    loop: int | None = None
    high: int = 0  # the degrees of freedom of a chi square, what an integer is below


class Problem(Protocol):
    """Sampler of a problem, as a traced step uses it."""

    @property
    def name(self) -> str: ...

    @property
    def dim(self) -> int: ...

    @property
    def start(self) -> Array: ...

    @property
    def spectrum(self) -> Array: ...

    @property
    def basis(self) -> Array | None: ...

    def constants(self) -> Mapping[str, Array]: ...

    def tables(self) -> Mapping[str, Array]: ...

    def sample(self, errors: tuple[Any, ...], draw: Any) -> tuple[Any, ...]: ...


class Joint(Tape):
    """The tape of a step on a problem of `dim` coordinates, whose arrays are `constants`."""

    def __init__(self, dim: int, constants: Mapping[str, Array | None]) -> None:
        super().__init__()
        self.dim, self.constants = dim, constants
        self.loops = count()

    def made(self, op: str, args: tuple[Node, ...], value: Any, kind: str) -> Node:
        return SamplerNode(self, len(self.nodes), op, args, value, kind)

    def constant(self, name: str) -> Node | None:
        """A constant of the problem, None where it has none of that name."""
        array = self.constants[name]
        if array is None:
            return None
        return self.node("constant", value=name, kind="vector" if array.shape == (self.dim,) else "table")


class SamplerNode(Node):
    """A node that has a problem's constants at hand and may be multiplied by a matrix among them."""

    __slots__ = ()

    def traced_constant(self, name: str) -> Node | None:
        """A constant of the problem."""
        return self.tape.constant(name)  # type: ignore[attr-defined]

    def __matmul__(self, matrix: Node) -> Node:
        return self.tape.node("matmul", self, matrix, kind="vector")

    @property
    def T(self) -> Node:  # noqa: N802, as arrays have it
        """A matrix transposed."""
        return self.tape.node("transpose", self, kind="table")

    def traced_call(self, name: str, *values: Any) -> Node:
        """Apply one of the functions of rules and samplers."""
        if name == "pick":
            array, index = values
            rows = array.op == "constant" and self.tape.constants[array.value].ndim == 2  # type: ignore[attr-defined]
            return self.tape.node("pick", array, index, kind="vector" if rows else "total")
        if name == "at":
            return self.tape.node("at", *values[:2], kind="vector")
        return super().traced_call(name, *values)


@dataclass(frozen=True)
class Draw:
    """Stands for the random numbers of one stage of a step, or of one sample of its batch (`loop`)."""

    tape: Joint
    stage: int
    loop: int | None = None

    def _node(self, op: str, kind: str, stream: int, *args: Node, block: int = 0, high: int = 0) -> Node:
        return self.tape.node(op, *args, value=Random(self.stage, stream, block, self.loop, high), kind=kind)

    def normal(self, stream: int) -> Node:
        """Standard normals, one a coordinate."""
        return self._node("normal", "vector", stream)

    def number(self, stream: int, index: int = 0) -> Node:
        """A standard normal, one a replica."""
        return self._node("number", "total", stream, block=index)

    def chi_square(self, stream: int, dof: int) -> Node:
        """A chi square, one a replica."""
        return self._node("chi_square", "total", stream, high=dof)

    def three_point(self, stream: int, chance: Node) -> Node:
        """0 or +-chance^-1/2, one a coordinate or a replica, as `chance` is."""
        return self._node("three_point", chance.kind, stream, chance)

    def integer(self, stream: int, high: int) -> Node:
        """A whole number below `high`."""
        return self._node("integer", "index", stream, high=high)

    def place(self, stream: int, below: Node) -> Node:
        """Place of a random whole number below 2^32 in an ascending table."""
        return self._node("place", "index", stream, below)

    def mean(self, batch: int, body: Callable[..., tuple[Node, ...]], errors: tuple[Node, ...]) -> tuple[Node, ...]:
        """Means over the samples of a batch of what `body` makes of a sample and the errors."""
        loop = next(self.tape.loops)
        found = body(Draw(self.tape, self.stage, loop), *errors)
        return tuple(self.tape.node("mean", result, value=(loop, batch), kind="vector") for result in found)


@dataclass(frozen=True)
class Step:
    """A step of a rule on a problem.

    Attributes
    ----------
    title : what it is a step of, and on.
    dim : number of coordinates.
    constants : the problem's arrays by name, ``start`` among them.
    updates : the node of each state's next value, but for uniform states, which the host computes.
    """

    title: str
    dim: int
    constants: Mapping[str, Array | None]
    updates: Mapping[str, Node]


def joined(optimizer: Optimizer, problem: Problem, values: Mapping[str, Any]) -> Step:
    """One step of the traced rule, its gradients sampled from the traced sampler; `values` matter by their switches."""
    constants = {"start": problem.start, "spectrum": problem.spectrum, "basis": problem.basis}
    constants |= {**problem.constants(), **problem.tables()}
    tape = Joint(problem.dim, constants)
    stages = count()

    def gradients(points: tuple[Node, ...]) -> tuple[Node, ...]:
        start = tape.constant("start")
        return problem.sample(tuple(point + start for point in points), Draw(tape, next(stages)))

    traced = optimizer.program(values)
    kinds = {name: "uniform" if name in traced.uniform else "vector" for name in optimizer.states}
    states = {name: tape.node("state", value=name, kind=kind) for name, kind in kinds.items()}
    given = {name: tape.node("hyperparameter", value=name, kind="uniform") for name in traced.reads}
    updates = program.run(traced, states, tape.node("step", kind="uniform"), given, gradients)
    lifted = {name: tape.lift(node) for name, node in updates.items() if name not in traced.uniform}
    return Step(f"A step of {optimizer.name} on {problem.name}.", problem.dim, constants, lifted)
