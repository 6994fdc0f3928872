"""What became of the question whether one rule is another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from accelsim.optimizer import Optimizer


@dataclass(frozen=True)
class Answer:
    """Whether rule `a` is rule `b`.

    Attributes
    ----------
    status : "equivalent", "refuted" or "undecided".
    map : each hyperparameter of `b`, in t and the hyperparameters of `a`.
    transform : each state of one rule, in the states of the other; `direction` says which.
    initial : what each of these states starts at, ``w0`` being the initial point.
    free : hyperparameters of `b` that could have been chosen otherwise.
    conditions : what must not be zero, and what is outside its declared range.
    assumptions : what the answer is modulo of.
    special : cases in which rules that are not the same become so: `when`, and the answer there.
    reason : one line.
    counterexample : what refutes, replayable; None where the structure alone does.
    tried : what was tried, where undecided.
    certificate : document that `certificate.verify_certificate` checks, None where undecided.
    """

    a: Optimizer
    b: Optimizer
    status: str
    map: Mapping[str, str] = field(default_factory=dict)
    transform: Mapping[str, str] = field(default_factory=dict)
    direction: str | None = None
    initial: Mapping[str, str] = field(default_factory=dict)
    free: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    special: tuple[Mapping[str, Any], ...] = ()
    reason: str = ""
    counterexample: Mapping[str, Any] | None = None
    tried: tuple[str, ...] = ()
    certificate: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """The answer as a document; `equivalent` is None where undecided."""
        found: dict[str, Any] = {
            "a": str(self.a),
            "b": str(self.b),
            "equivalent": {"equivalent": True, "refuted": False}.get(self.status),
            "status": self.status,
        }
        if self.status == "equivalent":
            for name in ("map", "transform", "direction", "initial", "free"):
                found[name] = getattr(self, name)
        found |= {"conditions": self.conditions, "assumptions": self.assumptions, "reason": self.reason}
        if self.status != "equivalent":
            found |= {"special": self.special, "counterexample": self.counterexample}
        return found | ({"tried": self.tried} if self.status == "undecided" else {})
