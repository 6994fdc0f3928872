"""Results in notebooks: what they say as HTML; tables as data frames and figures as well.

A result says what it is in plain data, and nothing here knows more of it. pandas and matplotlib are imported where they
are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from accelsim.errors import InputError

_SHOWN = 20  # rows: of a longer table the middle is left out
# A dollar in a name or a message begins no formula, but in what is one.
_PLAIN, _FORMULA = 'class="tex2jax_ignore mathjax_ignore"', 'class="tex2jax_process mathjax_process"'


class Told:
    """A result that a notebook shows as what it says, line by line, under its formula where it has one."""

    def _statement(self) -> Mapping[str, Any]:
        """Names and values: numbers, texts, and lists or mappings of them; what is None or empty is left out."""
        return vars(self)

    def _repr_html_(self) -> str:
        formula = getattr(self, "_repr_latex_", lambda: None)()
        shown = [f"<div {_FORMULA}>{escape(formula)}</div>"] if formula else []
        rows = [
            [name.replace("_", " "), value]
            for name, value in self._statement().items()
            if value not in (None, (), {}, [])
        ]
        return "\n".join([*shown, *_table([], rows)])


class Tabular(Told):
    """A result that is a table, and can be drawn."""

    def _columns(self) -> Mapping[str, Any]:
        """Columns of one length, by name."""
        raise NotImplementedError

    def _drawing(self) -> tuple[Any, ...]:
        """Name of the drawing in `plotting`, and what it takes after the axes."""
        raise NotImplementedError

    def to_dataframe(self) -> Any:
        """The table as a data frame of pandas, its columns called as in the files that commands write.

        Raises
        ------
        InputError
            Where pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise InputError("a data frame needs pandas, which is not installed: pip install pandas") from None
        return pandas.DataFrame(dict(self._columns()))

    def plot(self, ax: Any = None) -> Any:
        """Draw it as the commands do.

        Parameters
        ----------
        ax : axes of matplotlib; without them new ones are made, in the look of all figures.

        Returns
        -------
        The axes.

        Raises
        ------
        InputError
            Where there is nothing that can be drawn.
        """
        from accelsim import plotting

        name, *of = self._drawing()
        return plotting.on_axes(ax, lambda axes: getattr(plotting, name)(axes, *of))

    def _repr_html_(self) -> str:
        columns = self._columns()
        rows: list[Iterable[Any]] = [*zip(*columns.values(), strict=True)]
        if len(rows) > _SHOWN:
            rows = [*rows[: _SHOWN // 2], ["..."] * len(columns), *rows[-_SHOWN // 2 :]]
        return "\n".join([super()._repr_html_(), *_table(columns, rows, ".6g")])


def _table(columns: Iterable[str], rows: Iterable[Iterable[Any]], number: str = "") -> list[str]:
    """Lines of a table in HTML, in which every text is text; numbers in a format, all their digits by default."""
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = ("".join(f"<td>{_cell(value, number)}</td>" for value in row) for row in rows)
    lines = [f"<tr>{cells}</tr>" for cells in ([head] * bool(head) + [*body])]
    return [f"<table {_PLAIN}>", *lines, "</table>"] if lines else []


def _cell(value: Any, number: str, inner: bool = False) -> str:
    if isinstance(value, Mapping):
        return "<br>".join(f"{escape(str(name))} = {_cell(part, number)}" for name, part in value.items())
    if isinstance(value, list | tuple):  # of lists, in a line each, where it is a matrix
        between = ", " if inner else "<br>"
        return between.join(_cell(part, number, True) for part in value)
    if value is None:
        return ""
    return escape(format(value, number) if isinstance(value, float) else str(value))
