"""A step as CUDA source: a kernel that takes steps of some replicas.

Where no coordinate needs another one, a thread takes all steps of the coordinates of one random block, which stay in
its registers. Else a block of threads takes the steps of a replica: each thread owns every so many random blocks of it,
its numbers a replica are the same as those of all other threads, and totals are added up across them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from accelsim.program import Node
from accelsim.simulation import cuda_random
from accelsim.simulation.expressions import CUDA, indented, literal, written
from accelsim.simulation.joined import Random, Step
from accelsim.simulation.normals import PRECISIONS
from accelsim.simulation.slots import Slots, computed, last_word
from accelsim.simulation.sweeps import Loop, Schedule, Sweep, arithmetic

OPTIONS = ("--std=c++17", "--fmad=false")  # of the compiler: a fused multiply-add rounds once where a CPU rounds twice
TEAM = 256  # threads of a block that runs one replica, at most

_HEAD = """// {title}
typedef {real} real;
typedef unsigned int u32;
typedef long long i64;
typedef unsigned long long u64;

__device__ real sign(real x) {{ return x > 0 ? real(1) : x < 0 ? real(-1) : x == 0 ? real(0) : x; }}
__device__ real minimum(real a, real b) {{ return a < b || a != a ? a : b; }}
__device__ real maximum(real a, real b) {{ return a > b || a != a ? a : b; }}
__device__ real inverse(real x) {{ return x != 0 ? real(1) / x : real(0); }}
__device__ real beyond(real x, real level) {{ return x > level ? x : real(0); }}
__device__ real absolute(real x) {{ return x < 0 ? -x : x == 0 ? real(0) : x; }}
"""

_REDUCE = """
// The sum over all threads of a block, for each of them.
__device__ real reduce(real x) {
    __shared__ real parts[32];
    for (int step = 16; step; step /= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
    __syncthreads();
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = x;
    __syncthreads();
    x = 0;
    for (int warp = 0; warp < (blockDim.x + 31) / 32; ++warp) x += parts[warp];
    return x;
}
"""


class CudaWriter:
    """Writes the source of a step, for a precision."""

    def __init__(self, step: Step, dtype: str) -> None:
        self.schedule, self.dtype = Schedule(step), dtype
        self.slots = Slots(self.schedule)
        self.per = PRECISIONS[dtype].per

    @cached_property
    def source(self) -> str:
        """The whole source; its `kernel` takes steps."""
        head = _HEAD.format(title=self.schedule.step.title, real="float" if self.per == 4 else "double")
        parts = [head, cuda_random.source(self.dtype)]
        if not self.schedule.alone:
            parts.append(_REDUCE.strip("\n"))
        body = self._alone() if self.schedule.alone else self._together()
        return "\n".join([*parts, "", self._signature(), *indented(body, 1), "}", ""])

    def _signature(self) -> str:
        kinds = {"chance": "i64", "entries": "double", "size": "double"}
        numbered = [(kinds.get(role, "real"), i) for (role, _), i in self.slots.tables.items()]
        tables = "".join(f", const {kind}* __restrict__ table{i}" for kind, i in numbered)
        sizes = "".join(f", i64 size{i}" for (role, _), i in self.slots.tables.items() if role == "entries")
        return (
            'extern "C" __global__ void kernel(\n'
            "    real* __restrict__ z, const real* __restrict__ c, const real* __restrict__ columns, int rows,\n"
            "    const i64* __restrict__ wholes, int steps, u32 first_step, u32 first_replica, int replicas,\n"
            f"    u32 key0, u32 key1{tables}{sizes}) {{\n"
            "    [[maybe_unused]] const i64 blocks = wholes[1], dim = wholes[2];\n"
            f"    const i64 size = blocks * {self.per}, row = size * replicas;"
        )

    def _columns(self) -> Iterator[str]:
        count = len(self.slots.columns)
        yield "const u32 time = first_step + step;"
        if count:
            yield f"const real* u = columns + (i64)(step < rows ? step : rows - 1) * {count};"

    def _alone(self) -> Iterator[str]:
        """All steps of a random block's coordinates, in registers."""
        states = list(self.schedule.step.updates)
        yield "const i64 thread = (i64)blockIdx.x * blockDim.x + threadIdx.x;"
        yield "if (thread >= blocks * replicas) return;"
        yield "const u32 block = thread % blocks, replica = first_replica + thread / blocks;"
        yield f"z += thread * {self.per};"
        names = [*(f"s{i}" for i in range(len(states))), *(f"c{i}" for i in self.slots.constants.values())]
        yield f"real {', '.join(f'{name}[{self.per}]' for name in names)};"
        loads = [f"s{i}[k] = z[{i} * row + k];" for i in range(len(states))]
        loads += [f"c{i}[k] = c[{i} * size + block * {self.per} + k];" for i in self.slots.constants.values()]
        yield from self._each(loads)
        yield "for (int step = 0; step < steps; ++step) {"
        yield from indented(self._columns(), 1)
        sweep = next(self.schedule.sweeps())
        yield from indented(self._fills(sweep), 1)
        yield from indented(self._each(self._arithmetic(sweep)), 1)
        yield "}"
        yield from self._each(f"z[{i} * row + k] = s{i}[k];" for i in range(len(states)))

    def _together(self) -> Iterator[str]:
        """The steps of a replica, by all threads of a block."""
        yield "const u32 replica = first_replica + blockIdx.x;"
        yield "z += blockIdx.x * size;"
        yield from (f"__shared__ {_kind(node)} ahead{node.index}[{TEAM}];" for node in self._drawn)
        yield "for (int step = 0; step < steps; ++step) {"
        yield from indented(self._columns(), 1)
        if self._drawn:
            yield from indented(self._ahead(), 1)
        yield from indented(self._parts(list(self.schedule.parts)), 1)
        yield "}"

    @cached_property
    def _drawn(self) -> dict[Node, None]:
        """Random numbers, one a replica, that are known before a step; those of a batch's samples are too many."""
        drawn = [*self.slots.numbers, *self.slots.indices]
        return dict.fromkeys(n for n in drawn if isinstance(n.value, Random) and n.value.loop is None and not n.args)

    def _ahead(self) -> Iterator[str]:
        """Draw the numbers of as many steps as there are threads, each thread those of one: else all draw the same."""
        yield "if (step % blockDim.x == 0) {"
        yield "    const u32 time = first_step + step + threadIdx.x;"
        yield "    __syncthreads();"
        yield from (f"    ahead{node.index}[threadIdx.x] = {self._number(node)};" for node in self._drawn)
        yield "    __syncthreads();"
        yield "}"

    def _parts(self, parts: list[Sweep | Loop]) -> Iterator[str]:
        for part in parts:
            yield from self._sweep(part) if isinstance(part, Sweep) else self._batch(part)

    def _batch(self, loop: Loop) -> Iterator[str]:
        yield from self._blocks([f"z[{self._row(mean)} + i] = 0;" for mean in loop.means])
        yield f"for (i64 sample = 0; sample < {self.slots.whole('batch', loop.batch)}; ++sample) {{"
        yield from indented(self._parts(list(loop.sweeps)), 1)
        yield "}"

    def _blocks(self, lines: list[str], before: list[str] | None = None) -> Iterator[str]:
        """Lines for each coordinate of a thread's random blocks, and some for each block before them."""
        yield "for (i64 block = threadIdx.x; block < blocks; block += blockDim.x) {"
        yield from (f"    {line}" for line in before or [])
        yield from indented(self._each([f"const i64 i = block * {self.per} + k;", *lines]), 1)
        yield "}"

    def _sweep(self, sweep: Sweep) -> Iterator[str]:
        for node in sweep.before:
            drawn = node in self._drawn
            value = f"ahead{node.index}[step % blockDim.x]" if drawn else self._number(node)
            yield f"const {_kind(node)} n{node.index} = {value};"
        yield from (f"real n{total.index} = 0;" for total in sweep.totals)
        if sweep.passes:
            yield from self._blocks(list(self._arithmetic(sweep)), list(self._fills(sweep)))
        yield from (f"n{total.index} = reduce(n{total.index});" for total in sweep.totals)
        if not sweep.totals:  # else the reduction has waited for all that was written before
            yield "__syncthreads();"
        for mean, result in sweep.adds:
            if result.op == "at":
                index, value = (self._name(arg) for arg in result.args)
                yield f"if (threadIdx.x == 0) z[{self._row(mean)} + {index}] += {value};"
                yield "__syncthreads();"

    # -- vectors -------------------------------------------------------------------------------------------------------

    def _row(self, what: Node | str) -> str:
        name = what.value if isinstance(what, Node) and what.op == "state" else what
        return f"{self.slots.rows[name]} * row"

    def _fills(self, sweep: Sweep) -> Iterator[str]:
        """Random vectors and products of a block of coordinates."""
        for node in sweep.fills:
            name = f"f{node.index}"
            yield f"real {name}[{self.per}];"
            if node.op == "normal":
                yield f"normals({name}, {self._words(node)});"
                continue
            if node.op == "three_point":
                yield f"const Words w{node.index} = {self._words(node)};"
                yield from self._each(self._three_point(node, name))
            else:
                matrix = self.slots.table("matrix", node.args[1])
                yield from self._each([f"{name}[k] = 0;"])
                yield "for (i64 j = 0; j < dim; ++j) {"
                yield f"    const real x = {self._stored(node.args[0], 'j')};"
                line = f"{name}[k] += x * {matrix}[j * size + block * {self.per} + k];"
                yield from indented(self._each([line]), 1)
                yield "}"

    def _each(self, lines: Iterable[str]) -> Iterator[str]:
        """Lines for each coordinate of a random block."""
        yield "#pragma unroll"
        yield f"for (int k = 0; k < {self.per}; ++k) {{"
        yield from indented(lines, 1)
        yield "}"

    def _three_point(self, node: Node, name: str) -> Iterator[str]:
        chance, size = self.slots.table("chance", node), self.slots.constants[node]
        yield f"const i64 i = block * {self.per} + k, word = w{node.index}.w[k * {4 // self.per}];"
        yield f"const real value = word < {chance}[i] ? c[{size} * size + i] : real(0);"
        yield f"{name}[k] = word & 1 ? -value : value;"

    def _words(self, node: Node) -> str:
        block = "(u32)block" if node.value.loop is None else "(u32)(sample * blocks + block)"
        return f"philox({block}, time, replica, {last_word(node)}u, key0, key1)"

    def _arithmetic(self, sweep: Sweep) -> Iterator[str]:
        fills = set(sweep.fills)
        for node in arithmetic(sweep.roots):
            value = f"f{node.index}[k]" if node in fills else self._vector(node)
            yield f"const real v{node.index} = {value};"
        for total in sweep.totals:
            value = self._name(total.args[0])
            yield f"n{total.index} += i < dim ? {value} : real(0);"
        for node in [*sweep.keeps, *(fill for fill in sweep.fills if fill in self.slots.rows)]:
            value = f"f{node.index}[k]" if node in fills else self._name(node)
            yield f"z[{self._row(node)} + i] = {value};"
        for mean, result in sweep.adds:
            if result.op != "at":
                yield f"z[{self._row(mean)} + i] += {self._name(result)};"
        for state, node in sweep.updates.items():
            yield f"{self._state(state)} = {self._name(node)};"

    def _stored(self, node: Node, place: str) -> str:
        """Value of an entry of a row."""
        return self.slots.averaged(node, f"z[{self._row(node)} + {place}]")

    def _state(self, name: str) -> str:
        return f"s{self.slots.rows[name]}[k]" if self.schedule.alone else f"z[{self._row(name)} + i]"

    def _vector(self, node: Node) -> str:
        if node.op == "state":
            return self._state(node.value)
        if node.op == "constant":
            slot = self.slots.constants[node]
            return f"c{slot}[k]" if self.schedule.alone else f"c[{slot} * size + i]"
        if node.op in ("normal", "three_point", "matmul", "mean"):
            return self._stored(node, "i")
        if node.op == "pick":
            return f"{self.slots.table('rows', node.args[0])}[{self._name(node.args[1])} * size + i]"
        return written(node, self._name, CUDA)

    def _name(self, node: Node) -> str:
        if node.kind == "uniform":
            return f"real({float(node.value)})" if literal(node) else f"u[{self.slots.columns[node]}]"
        return f"{'v' if node.kind == 'vector' else 'n'}{node.index}"

    # -- numbers, one a replica ----------------------------------------------------------------------------------------

    def _number(self, node: Node) -> str:
        if computed(node):
            return written(node, self._name, CUDA)
        if node.op == "pick":
            source, index = node.args
            if source.op == "constant":
                return f"real({self.slots.table('entries', source)}[{self._name(index)}])"
            return self._stored(source, self._name(index))
        place = f"{last_word(node)}u, key0, key1"
        if node.op == "chi_square":
            return f"chi_square(time, replica, {place}, {self.slots.whole('chi_square', node.value.high)})"
        block = f"{node.value.block}u" if node.value.loop is None else "(u32)sample"
        words = f"philox({block}, time, replica, {place})"
        if node.op == "number":
            return f"normal({words})"
        if node.op == "integer":
            return f"integer({words}, {self.slots.whole('integer', node.value.high)})"
        if node.op == "place":
            number = self.slots.tables["entries", node.args[0]]
            return f"position(table{number}, size{number}, integer({words}, {2**32}ll))"
        chance, size = (self.slots.table(role, node) for role in ("chance", "size"))
        return f"three_point({words}, {chance}, {size}, {self._name(node.args[0].args[1])})"


def _kind(node: Node) -> str:
    return "i64" if node.kind == "index" else "real"
