"""Bodies of requests: JSON with the position of what is wrong, then a model with all faults at once."""

import difflib
import json
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from node.api.message import Request
from node.api.problem import Problem


class Body(BaseModel):
    """What all bodies have in common: no unknown keys, no silent conversions."""

    model_config = ConfigDict(extra="forbid", strict=True)


Model = TypeVar("Model", bound=BaseModel)

_FAULTS_MAX = 50
_KEYS_MAX = 200
_INTEGER_BITS = 63
"""What the log can carry."""


def read_json(request: Request) -> Any:
    """Read the body as JSON (RFC 8259). Raises ``Problem``."""
    try:
        text = request.body.decode("utf-8-sig")
        value = json.loads(text, parse_constant=_no_constant, parse_int=_integer)
        if "\\ud" in text.lower():  # half a surrogate pair is no character, and cannot be written anywhere
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Problem("bad_request", f"the body is not JSON: {error.msg} at {where}") from None
    except UnicodeEncodeError:
        raise Problem("bad_request", "the body holds half a surrogate pair, which is no character") from None
    except UnicodeDecodeError as error:
        raise Problem("bad_request", f"the body is not UTF-8 at octet {error.start}") from None
    except (ValueError, RecursionError) as error:
        raise Problem("bad_request", f"the body is not JSON we read: {error}") from None


def read_model(model: type[Model], request: Request) -> Model:
    """Read the body as this model. Raises ``Problem`` with every fault and a JSON pointer to each."""
    value = read_json(request)
    if not isinstance(value, dict):
        raise Problem("invalid", f"the body is {_kind(value)}, an object is expected; nothing was changed")
    if len(value) > _KEYS_MAX:
        raise Problem(
            "invalid", f"the body has {len(value)} keys, {_KEYS_MAX} are allowed; nothing was changed"
        )
    try:
        return model.model_validate(value)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False, include_input=False)
    faults = [(pointer(each["loc"]), _message(model, each)) for each in errors[:_FAULTS_MAX]]
    raise faulty(faults, len(errors))


def faulty(faults: list[tuple[str, str]], count: int = 0) -> Problem:
    """Return the ``Problem`` that lists these faults, pairs of pointer and sentence, of ``count`` in all."""
    first = " ".join(part for part in faults[0] if part)
    others = max(count, len(faults)) - 1
    more = f" (and {others} more)" if others else ""
    return Problem(
        "invalid",
        f"{first}{more}; nothing was changed",
        errors=tuple({"pointer": where, "message": message} for where, message in faults[:_FAULTS_MAX]),
    )


def pointer(location: tuple[int | str, ...]) -> str:
    """Write a location in the body as a JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)


def _message(model: type[BaseModel], error: Any) -> str:
    if error["type"] != "extra_forbidden":
        return str(error["msg"]).removeprefix("Value error, ")
    key = str(error["loc"][-1])
    known = model.model_fields if len(error["loc"]) == 1 else {}
    close = difflib.get_close_matches(key, known, 1)
    return f"is not a key here{f'; did you mean {close[0]}?' if close else ''}"


def _integer(text: str) -> int:
    number = int(text)
    if number.bit_length() > _INTEGER_BITS:
        raise ValueError(f"a number has {len(text)} digits, which is more than anything here can hold")
    return number


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")


def _kind(value: object) -> str:
    kinds = {list: "an array", str: "a string", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")
