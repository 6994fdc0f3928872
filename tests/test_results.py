"""Stored results explain themselves, come back as they were, and are there whole or not at all."""

import json
import math
import os
from dataclasses import asdict, fields, replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accelsim import results
from accelsim.errors import InputError
from accelsim.results import Result


def result(**changes):
    given = dict(
        name="speed_up",
        claim="Decoupling pays at small batch.",
        assumptions=("Gaussian inputs", "constant parameters"),
        config={"size": "tiny", "seed": 7, "batches": (1, 4096)},
        measured={"ratio": np.float64(8.5), "diverged": np.int64(2), "range": np.array([1.0, math.inf])},
        predicted={"ratio": 8.0, "missing": math.nan, "below": -math.inf},
        relation="within 4 standard errors",
        holds=np.bool_(True),
        expected=True,
        published={"ratio": None},
        series={"risk": np.arange(6.0).reshape(2, 3) / 3, "steps": np.arange(3)},
    )
    return Result(**{**given, **changes})


def same(a, b):
    """Equality in which NaN equals NaN."""
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and (a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b)))


def test_a_result_comes_back_as_it_was(tmp_path):
    stored = result()
    loaded = results.load(results.save(stored, tmp_path))
    assert same(asdict(loaded), asdict(stored))
    assert loaded.measured["range"] == [1.0, math.inf]
    assert math.isnan(loaded.predicted["missing"])
    assert not same(asdict(loaded), asdict(result(holds=False)))


NUMBERS = st.floats() | st.integers(-(2**63), 2**63)
VALUES = st.recursive(NUMBERS | st.booleans() | st.none(), lambda v: st.lists(v) | st.dictionaries(st.text(), v))


@settings(deadline=None, derandomize=True, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.dictionaries(st.text(), VALUES))
@pytest.mark.long
def test_any_numbers_come_back_as_they_were(tmp_path, values):
    loaded = results.load(results.save(result(measured=values, series=values), tmp_path))
    assert same(loaded.measured, values)
    assert same(loaded.series, values)


def test_a_failed_result_comes_back_and_one_that_did_not_fail_says_nothing_of_it(tmp_path):
    failed = result(holds=None, error="ValueError: no")
    assert results.load(results.save(failed, tmp_path)).error == "ValueError: no"
    assert (failed.as_expected, result().as_expected, result(holds=False).as_expected) == (False, True, False)
    assert "error" not in json.loads(results.save(result(), tmp_path).read_text())


def test_a_stored_result_is_valid_json_that_explains_itself(tmp_path):
    def refuse(constant):
        raise AssertionError(constant)

    path = results.save(result(), tmp_path)
    document = json.loads(path.read_text(), parse_constant=refuse)
    assert path.name == "speed_up.json"
    assert document["format"] == results.FORMAT
    assert set(document) == {"format", "checksum"} | {entry.name for entry in fields(Result)} - {"error"}
    assert set(document["versions"]) == {"python", "accelsim", "numpy", "scipy", "sympy"}
    assert document["predicted"] == {"ratio": 8.0, "missing": "nan", "below": "-inf"}


def test_equal_results_are_equal_bytes(tmp_path):
    first = results.save(result(), tmp_path / "a").read_bytes()
    assert results.save(result(), tmp_path / "b").read_bytes() == first
    assert results.save(result(measured={"ratio": 8.6}), tmp_path / "c").read_bytes() != first


def test_saving_again_replaces(tmp_path):
    results.save(result(), tmp_path)
    path = results.save(result(relation="otherwise"), tmp_path)
    assert results.load(path).relation == "otherwise"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("value", [object(), {1: 2}, {1, 2}, 1j, np.array([1j]), [np.datetime64("2020-01-01")]])
def test_what_cannot_be_stored_is_refused_at_once(value):
    with pytest.raises(TypeError):
        result(measured={"value": value})


def test_numbers_paths_and_fractions_become_plain():
    found = results.plain({"half": Fraction(1, 2), "path": Path("a") / "b", "one": np.float32(1), "row": (np.int8(1),)})
    assert found == {"half": 0.5, "path": os.path.join("a", "b"), "one": 1.0, "row": [1]}
    assert results.jsonable([np.nan, -np.inf, 1.5]) == ["nan", "-inf", 1.5]


def one_line(error):
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError) as error:
            results.save(result(), folder)
        assert str(folder) in one_line(error)
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_forbidden_folder_is_told_in_one_line(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError) as error:
        results.prepare(tmp_path)
    assert "cannot write" in one_line(error)


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("raised", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_cut_short_leaves_what_was_there(tmp_path, monkeypatch, call, raised):
    path = results.save(result(), tmp_path)
    before = path.read_bytes()

    def fail(*_):
        raise raised

    monkeypatch.setattr(os, call, fail)
    expected = InputError if isinstance(raised, OSError) else KeyboardInterrupt
    for changed in (result(relation="otherwise"), result(name="another")):
        with pytest.raises(expected) as error:
            results.save(changed, tmp_path)
        if expected is InputError:
            assert "No space left" in one_line(error)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before


def spoiled(form=results.FORMAT, **changes):
    """The text of a result with other content, stored as if it were right."""
    document = {**asdict(result()), "error": None, **changes}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "speed_up.json"
        results.write_document(path, form, {k: v for k, v in document.items() if k != "error" or v is not None})
        return path.read_text()


FOREIGN = {
    "empty": "",
    "cut short": spoiled()[:-20],
    "a list": "[1, 2]",
    "another format": spoiled("accelsim result 0"),
    "deep nesting": "[" * 100_000,
    "a changed digit": spoiled().replace("8.0", "8.1"),
    "a changed sum": spoiled().replace('"checksum": "', '"checksum": "0'),
    "no sum": json.dumps({"format": results.FORMAT, **results.jsonable(asdict(result()))}),
    "the name of another file": spoiled(name="../speed_up"),
    "a field too many": spoiled(seconds=3),
    "a verdict that is none": spoiled(holds="yes"),
    "no verdict and no error": spoiled(holds=None),
    "a verdict and an error": spoiled(error="ValueError: no"),
    "measured that is no table": spoiled(measured=[1]),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_a_foreign_or_damaged_file_is_refused_in_one_line(tmp_path, case):
    path = tmp_path / "speed_up.json"
    path.write_text(FOREIGN[case])
    with pytest.raises(InputError) as error:
        results.load(path)
    assert str(path) in one_line(error)


def test_files_that_are_missing_or_no_text_are_refused(tmp_path):
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "none.json", tmp_path, tmp_path / "bytes.json"):
        with pytest.raises(InputError) as error:
            results.load(path)
        assert str(path) in one_line(error)


def test_the_control_of_damaged_files_is_read(tmp_path):
    path = tmp_path / "speed_up.json"
    path.write_text(spoiled())
    assert replace(results.load(path), predicted={}) == replace(result(), predicted={})
