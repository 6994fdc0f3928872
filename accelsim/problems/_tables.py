"""Tables of numbers as people have them: text of any separator, NPY, Parquet, arrays, data frames, scikit-learn's.

Columns keep their numbers, counted from 0, whatever is left out. A first column that counts the rows, or has no name
where others do, is an index and no feature.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from accelsim import files, spectra
from accelsim.errors import InputError, unknown
from accelsim.spectra import Array

BUNDLED = ("breast_cancer", "diabetes", "digits", "iris", "linnerud", "wine")  # scikit-learn's
_SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars", " ": "blanks"}
_SAMPLE = 50  # lines by which a text's form is told
_MISSING = ("", "na", "n/a", "nan", "null", "none", "?")
_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_PACKED: dict[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": gzip.decompress,
    b"BZh": bz2.decompress,
    b"\xfd7zXZ": lzma.decompress,
}
_NAMED = {b"PK": "a zip archive or a workbook", b"%PDF": "a PDF", b"\x89HDF": "an HDF5 file"}


class Table(NamedTuple):
    """What errors call it, features (N, p) with their names, the target (N,), and notices on what was left out."""

    label: str
    names: list[str]
    features: Array
    target: Array
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Source:
    """Columns that can be had as numbers.

    Attributes
    ----------
    label : how errors call the table.
    names : of all columns, none where it has no header.
    width : number of columns.
    numbers : the columns of some numbers as an array (N, columns), or an `InputError` that says where there is none.
    notices : on how it was read.
    """

    label: str
    names: list[str]
    width: int
    numbers: Callable[[list[int]], Array]
    notices: tuple[str, ...] = ()

    def name(self, column: int) -> str:
        return (self.names[column] if self.names else "") or str(column)

    def column(self, given: Any, option: str) -> int:
        """The number of a column from its name or number."""
        if self.names and str(given) in self.names:
            if self.names.count(str(given)) > 1:
                times = self.names.count(str(given))
                raise InputError(f"{self.label} has {times} columns named {given!r}: name the {option} apart")
            return self.names.index(str(given))
        try:
            number = int(given)
        except (TypeError, ValueError):
            if self.names:
                raise unknown(f"{option} column of {self.label}:", str(given), self.names) from None
            what = f"give the {option} column's number, counted from 0"
            raise InputError(f"{self.label} has no header: {what}") from None
        if not 0 <= number < self.width:
            raise InputError(f"{self.label} has no column {number}: its columns count from 0 to {self.width - 1}")
        return number


def read(data: Any, target: Any = None, drop: Iterable[Any] | None = None, skip_lines: int | None = None) -> Table:
    """A table from what a user gives.

    Parameters
    ----------
    data : path of a text, ``.npy`` or Parquet file, the text as it is or compressed; a name of `BUNDLED`; an array
        (N, columns), or a data frame.
    target : the column to predict, by name or number.
    drop : columns that are no features, by name or number; they need not be numbers.
    skip_lines : lines of a text before its header or first row.

    Raises
    ------
    InputError
        Where it cannot be read, with line and column where these have no number.
    """
    skip = 0 if skip_lines is None else _lines(skip_lines)
    dropped = [drop] if isinstance(drop, str | int) else list(drop or ())
    if isinstance(data, str) and data in BUNDLED and not Path(data).exists():
        if skip or dropped:
            raise InputError(f"{data} is used as it is: leave --drop and --skip-lines out")
        return _bundled(data, target)
    source = _source(data, skip)
    if target is None:
        what = "its name" if source.names else "its number, counted from 0"
        raise InputError(f"{source.label} needs a target column: give {what} with --target")
    wanted = source.column(target, "target")
    out = {source.column(each, "dropped") for each in dropped}
    if wanted in out:
        raise InputError(f"the target column of {source.label} is dropped: leave one of the two out")
    notices = list(source.notices)
    features = [column for column in range(source.width) if column not in {wanted, *out}]
    if features[:1] == [0] and any(source.names) and not source.names[0]:
        features.remove(0)
        notices.append(f"{source.label}: the first column has no name: an index, and no feature")
    values = source.numbers([*features, wanted])
    if len(values) < 2:
        raise InputError(f"{source.label} has one row: at least two are needed")
    if features[:1] == [0] and len(features) > 1 and _counts(values[:, 0]):
        features, values = features[1:], values[:, 1:]
        notices.append(f"{source.label}: the first column counts the rows: an index, and no feature")
    return Table(
        source.label, [source.name(column) for column in features], values[:, :-1], values[:, -1], tuple(notices)
    )


def _lines(given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or given < 0:
        raise InputError(f"the lines to skip must be a whole number of at least 0, not {given}")
    return given


def _counts(column: Array) -> bool:
    """Whether a column is 0, 1, 2, ... or 1, 2, 3, ..."""
    return column[0] in (0, 1) and bool((np.diff(column) == 1).all())


def _source(data: Any, skip: int) -> _Source:
    if isinstance(data, str | Path):
        content = _content(data)
        if content[:4] not in (b"\x93NUM", b"PAR1"):
            return _of_text(str(data), content, skip)
    if skip:
        raise InputError("--skip-lines is for tables that are text")
    if hasattr(data, "columns"):
        return _of_frame("the data frame", data)
    if not isinstance(data, str | Path):
        return _of_array("the array", spectra.numbers(data, "the array"))
    if content[:4] == b"PAR1":
        return _of_frame(str(data), _parquet(str(data)))
    return _of_array(str(data), spectra.load(str(data), "a table"))


def _content(data: str | Path) -> bytes:
    try:
        content = files.content(data, "data")
    except InputError as error:
        raise InputError(f"{error}: give a file, as CSV or .npy, or one of {', '.join(BUNDLED)}") from None
    for begin, unpack in _PACKED.items():
        if content.startswith(begin):
            try:
                content = unpack(content)
            except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error) as error:
                raise InputError(f"cannot unpack {data}: {error}") from None
    for begin, what in _NAMED.items():
        if content.startswith(begin):
            raise InputError(f"cannot read {data}: it is {what}; save the table as CSV")
    return content


def _bundled(data: str, target: Any) -> Table:
    try:
        from sklearn import datasets
    except ImportError:
        raise InputError(f"the data set {data} needs scikit-learn: pip install 'accelsim[data]'") from None
    bunch = getattr(datasets, f"load_{data}")(**({"scaled": False} if data == "diabetes" else {}))
    labels = np.asarray(bunch.target, np.float64)
    if labels.ndim == 2:
        if target is None:
            raise InputError(f"{data} has several targets: choose one of {', '.join(bunch.target_names)} with --target")
        if target not in bunch.target_names:
            raise unknown(f"target of {data}:", str(target), bunch.target_names)
        labels = labels[:, list(bunch.target_names).index(target)]
    elif target is not None:
        raise InputError(f"{data} brings its own target: leave --target out")
    return Table(data, list(map(str, bunch.feature_names)), np.asarray(bunch.data, np.float64), labels)


def _of_array(label: str, table: Array) -> _Source:
    if table.ndim != 2:
        raise InputError(f"{label} has shape {table.shape}: a table has rows and columns")
    return _Source(label, [], table.shape[1], lambda columns: table[:, columns])


def _parquet(path: str) -> Any:
    try:
        import pandas
    except ImportError:
        raise InputError(f"{path} is a Parquet file, for which pandas is needed: pip install pandas pyarrow") from None
    try:
        return pandas.read_parquet(path)
    except ImportError:
        raise InputError(f"{path} is a Parquet file, for which pyarrow is needed: pip install pyarrow") from None
    except Exception as error:  # whatever its engine raises
        raise InputError(f"cannot read {path} as Parquet: {error}") from None


def _of_frame(label: str, frame: Any) -> _Source:
    names = [str(name) for name in frame.columns]

    def numbers(columns: list[int]) -> Array:
        return np.column_stack([_of_series(label, names[i], frame.iloc[:, i]) for i in columns])

    return _Source(label, names, len(names), numbers)


def _of_series(label: str, name: str, series: Any) -> Array:
    try:
        values = np.asarray(series.to_numpy(), dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{label}, column {name}: its values are no numbers; {_remedy(name)}") from None
    lost = np.flatnonzero(~np.isfinite(values))
    if len(lost):
        raise InputError(f"{label}, row {lost[0]}, column {name}: missing value or not finite; {_repair(name)}")
    return values


def _remedy(name: str, cell: str = "") -> str:
    what = "write numbers without separators of thousands" if cell[:1].isdigit() else "code categories as numbers"
    return f"{what}, or leave the column out with --drop {name}"


def _repair(name: str) -> str:
    return f"remove the row, fill it in, or leave the column out with --drop {name}"


_BEFORE = "--skip-lines leaves lines before a table out"


class _Form(NamedTuple):
    """How a text's cells are separated, and whether its decimals have a comma."""

    separator: str
    comma: bool


def _of_text(label: str, content: bytes, skip: int) -> _Source:
    text, notices = _decoded(label, content)
    lines = io.StringIO(text, newline=None)
    for _ in range(skip):
        lines.readline()
    text = lines.read()
    form = _form(text)
    sample = list(islice(_records(label, text, form.separator), 2))
    if not sample:
        raise InputError(f"{label} is empty: it needs rows of numbers")
    (begin, header), *rest = sample
    if form.separator != ",":
        notices += (f"{label}: cells are separated by {_SEPARATORS[form.separator]}",)
    if form.comma:
        notices += (f"{label}: decimals have a comma",)
    names: list[str] = []
    if not any(_number(cell, form.comma) is not None for cell in header):
        if not rest:
            raise InputError(f"{label} has a header and no rows: it needs rows of numbers")
        unnamed = len(rest[0][1]) - len(header) == 1  # rows may have names, and that column none
        names = [""] * unnamed + header
        if len(rest[0][1]) > len(names):
            raise InputError(
                f"{label}, line {begin + skip}: {len(header)} columns where line {rest[0][0] + skip} has "
                f"{len(rest[0][1])}; {_BEFORE}"
            )
    elif rest and _is_count(header, len(rest[0][1]), text, begin):
        notices += (f"{label}: the first line counts rows and features, and is left out",)
        header = rest[0][1]
    else:
        begin = 0
    width = len(names or header)
    body = _Body(label, text, form, names, width, begin, skip)
    return _Source(label, names, width, body.numbers, notices)


def _decoded(label: str, content: bytes) -> tuple[str, tuple[str, ...]]:
    """A table's text, and a notice where it is in an encoding that has no sign of its own."""
    notices: tuple[str, ...] = ()
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        if wide:
            raise InputError(f"cannot read {label} as CSV: it begins as UTF-16 text and is none") from None
        text, notices = content.decode("latin-1"), (f"{label}: read as Latin-1, as it is not UTF-8",)
    if "\0" in text:
        raise InputError(f"cannot read {label} as CSV: it is no text in UTF-8, UTF-16 or Latin-1")
    return text, notices


def _form(text: str) -> _Form:
    """The form under which most cells of the first lines are numbers, in rows of one length where there is one."""
    sample = [line for line in islice(io.StringIO(text), _SAMPLE) if line.strip()]
    rows = {separator: [_cells(line, separator) for line in sample[1:] or sample] for separator in _SEPARATORS}

    def worth(separator: str) -> tuple[bool, float]:
        lengths = [len(row) for row in rows[separator]]
        if (
            len(set(lengths)) != 1 or lengths[0] == 1
        ):  # no table of several columns: that of most, blanks being in words
            return False, lengths[0] if lengths and separator != " " else 0
        cells = [cell for row in rows[separator] for cell in row]
        return True, sum(_number(cell, separator != ",") is not None for cell in cells) / len(cells)

    separator = max(_SEPARATORS, key=worth)
    decimals = any(_COMMA.fullmatch(cell) for row in rows[separator] for cell in row)
    return _Form(separator, decimals and separator != ",")


def _cells(line: str, separator: str) -> list[str]:
    try:
        row = line.split() if separator == " " else next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        row = line.split(separator)
    return [cell.strip() for cell in row]


def _records(label: str, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, each with the number of its last line."""
    lines = io.StringIO(text)
    try:
        if separator == " ":
            rows: Iterable[tuple[int, Sequence[str]]] = ((i, line.split()) for i, line in enumerate(lines, 1))
        else:
            reader = csv.reader(lines, delimiter=separator)
            rows = ((reader.line_num, row) for row in reader)
        for number, row in rows:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield number, cells
    except csv.Error as error:
        raise InputError(f"cannot read {label} as CSV: {error}") from None


def _number(cell: str, comma: bool) -> float | None:
    if comma and _COMMA.fullmatch(cell):
        cell = cell.replace(",", ".")
    try:
        return float(cell)
    except ValueError:
        return None


def _shown(cell: str) -> str:
    return cell if len(cell) <= 60 else f"{cell[:60]}..."


def _is_count(header: list[str], width: int, text: str, begin: int) -> bool:
    """Whether a first line has the numbers of rows and of features, as those of scikit-learn's tables."""
    if header[1:2] != [str(width - 1)]:
        return False
    rows = sum(1 for line in islice(io.StringIO(text), begin, None) if line.strip())
    return header[0] == str(rows)


@dataclass(frozen=True)
class _Body:
    """Rows of a text below `begin` lines, `skipped` lines having been taken away before it."""

    label: str
    text: str
    form: _Form
    names: list[str]
    width: int
    begin: int
    skipped: int

    def numbers(self, columns: list[int]) -> Array:
        """Some columns (N, columns), in compiled code; what it cannot read is gone through cell by cell."""
        text = self.text.replace(",", ".") if self.form.comma else self.text
        chosen = None if len(columns) == self.width else columns
        how: dict[str, Any] = {"delimiter": None if self.form.separator == " " else self.form.separator}
        try:
            rows = np.loadtxt(
                io.StringIO(text), skiprows=self.begin, usecols=chosen, comments=None, quotechar='"', ndmin=2, **how
            )
            if rows.size and np.isfinite(rows).all() and self._even(rows.shape[1], chosen):
                return rows if chosen else rows[:, columns]
        except ValueError:
            pass
        return np.array([self._row(line, cells, columns) for line, cells in self._rows()])

    def _even(self, read: int, chosen: list[int] | None) -> bool:
        """Whether all rows have as many cells as they should; where columns are chosen, others were not counted."""
        if chosen is None:
            return read == self.width
        separator, lines = self.form.separator, islice(io.StringIO(self.text), self.begin, None)
        rows = (line for line in lines if line.strip())
        return {len(row.split()) if separator == " " else row.count(separator) + 1 for row in rows} == {self.width}

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        records = _records(self.label, self.text, self.form.separator)
        return ((line + self.skipped, cells) for line, cells in records if line > self.begin)

    def _row(self, line: int, cells: list[str], columns: list[int]) -> list[float]:
        if len(cells) != self.width:
            raise InputError(
                f"{self.label}, line {line}: {len(cells)} columns where the first line has {self.width}; {_BEFORE}"
            )
        values = []
        for column in columns:
            cell, name = cells[column], (self.names[column] if self.names else "") or str(column)
            where = f"{self.label}, line {line}, column {name}"
            if cell.lower() in _MISSING:
                raise InputError(f"{where}: missing value; {_repair(name)}")
            value = _number(cell, self.form.comma)
            if value is None:
                raise InputError(f"{where}: {_shown(cell)!r} is not a number; {_remedy(name, cell)}")
            if not np.isfinite(value):
                raise InputError(f"{where}: {_shown(cell)} is not finite")
            values.append(value)
        return values
