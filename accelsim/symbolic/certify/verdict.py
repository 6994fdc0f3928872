"""Verdicts on certificates."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verified:
    """Verdict on a certificate.

    Attributes
    ----------
    holds : whether everything in it was shown again.
    reason : why, or why not, in one line.
    """

    holds: bool
    reason: str
