"""``flap_limit`` and ``failback`` of [health] and [[services]]: when an endpoint comes back into DNS."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator

from node.config.fields import DurationMs, Table, text_reader, written
from node.config.units import parse_duration_ms
from node.health.steadiness import Failback, FlapLimit, read_failback


class FlapLimitTable(Table):
    """``flap_limit``: an endpoint that changes so often is held out of DNS until it is steady."""

    changes: Annotated[int, Field(ge=2, le=100)] = 6
    per: DurationMs = written("10m")
    hold: DurationMs = written("5m")

    def limit(self) -> FlapLimit | None:
        """Return the limit, None for the one that ``false`` stands for."""
        return FlapLimit(self.changes, self.per, self.hold) if self.changes else None


_NO_LIMIT = FlapLimitTable.model_construct(changes=0, per=0, hold=0)


def _false_is_no_limit(value: Any) -> Any:
    return _NO_LIMIT if value is False else value


def _failback(text: str) -> Failback:
    return read_failback(text, None if text in ("auto", "manual") else parse_duration_ms(text))


OwnFlapLimit = Annotated[
    FlapLimitTable | None,
    BeforeValidator(_false_is_no_limit, json_schema_input_type=bool | FlapLimitTable | None),
]
"""A service's own; ``false`` goes before what [health] says."""
FailbackText = Annotated[Failback, PlainValidator(text_reader(_failback), json_schema_input_type=str)]
"""``auto``, ``manual``, or a time."""
