"""What the results of several checks say of one endpoint. Pure."""

from collections.abc import Sequence

from node.health.service import Check, Part
from node.probe.result import ProbeResult

_EVIDENCE_CHARACTERS_MAX = 200


def judge_parts(check: Check, results: Sequence[ProbeResult]) -> ProbeResult:
    """Judge a composite check by its parts' results, in their order.

    Good when every part that must pass is, and as many of the counting parts as are needed. A part that
    this node could not try is evidence of nothing: where it might turn the outcome, the whole is untried.
    """
    parts = list(zip(check.parts, results, strict=True))
    counted = [(part, result) for part, result in parts if not part.observe_only]
    needed = check.needed or len(counted)
    up = _is_up(counted, needed)
    tried = up == _is_up([(part, _granted(result)) for part, result in counted], needed)
    return ProbeResult(
        up,
        max(result.latency_ms for result in results),
        _evidence(parts, counted, needed),
        any(result.answered for result in results),
        tried,
        "; ".join(result.warning for result in results if result.warning),
    )


def _is_up(counted: list[tuple[Part, ProbeResult]], needed: int) -> bool:
    good = sum(result.up for _, result in counted)
    return good >= needed and all(result.up for part, result in counted if part.must_pass)


def _granted(result: ProbeResult) -> ProbeResult:
    """Return a result as good as it could have been."""
    return result if result.tried else ProbeResult(True, result.latency_ms, result.evidence)


def _evidence(
    parts: list[tuple[Part, ProbeResult]], counted: list[tuple[Part, ProbeResult]], needed: int
) -> str:
    """Say how many were good, and what was wrong with the others."""
    good = sum(result.up for _, result in counted)
    faults = [f"{_label(part.check)} {result.evidence}" for part, result in parts if not result.up]
    text = "; ".join([f"{good} of {len(counted)} good, {needed} needed", *faults])
    return text if len(text) <= _EVIDENCE_CHARACTERS_MAX else f"{text[: _EVIDENCE_CHARACTERS_MAX - 3]}..."


def _label(check: Check) -> str:
    what = check.command or (str(check.port) if check.port else "")
    return f"{check.kind} {what}:" if what else f"{check.kind}:"
