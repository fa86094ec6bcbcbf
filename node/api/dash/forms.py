"""The forms of the pages: who may use which, and that a form was made by this node for who sends it.

A page's cookie serves where a form of ours is sent, and only with the token that the page got: an HMAC
under a key that this process made, over who asks. A foreign page can neither read nor guess it.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import parse_qs

from node.api.access import grants, page_secret
from node.api.context import ApiContext
from node.api.message import Request
from node.api.problem import Problem

FIELD = "form_token"
_FIELDS_MAX = 40


def form_token(context: ApiContext, request: Request) -> str:
    """Return what a form for this client must hold."""
    who = f"{request.identity.name}\0{page_secret(request) or ''}".encode()
    return hmac.new(context.form_key, who, hashlib.sha256).hexdigest()


def with_form(context: ApiContext, request: Request) -> Request:
    """Read the body as a form that this node made for this client. Raises ``Problem``."""
    try:
        fields = parse_qs(request.body.decode(), keep_blank_values=True, max_num_fields=_FIELDS_MAX)
    except ValueError:
        raise Problem("bad_request", "the form is not one of ours; nothing was changed") from None
    form = {key: values[-1].strip() for key, values in fields.items()}
    if not hmac.compare_digest(form.get(FIELD, "").encode(), form_token(context, request).encode()):
        raise Problem(
            "forbidden", "this form is out of date: the node has started again since; nothing was changed",
            "go back, reload the page, and send it again",
        )  # fmt: skip
    reason = form.get("reason", "")
    headers = dict(request.headers) | ({"qdns-reason": reason} if reason else {})
    return replace(request, form=form, headers=headers)


def allowed(request: Request) -> Mapping[str, bool]:
    """Return what the pages offer to who asks."""
    return {
        "operate": grants(request.identity, "endpoints:operate"),
        "steer": grants(request.identity, "services:write"),
        "edit": grants(request.identity, "records:write"),
        "lead": grants(request.identity, "cluster:admin"),
    }
