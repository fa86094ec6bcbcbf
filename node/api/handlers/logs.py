"""``/v1/log``: from which level on this node logs."""

import structlog

from node.api.body import read_model
from node.api.context import ApiContext
from node.api.message import Request, Response, shown
from node.api.models import LogBody

logger = structlog.get_logger()


def get_log(context: ApiContext, _request: Request) -> Response:
    """Tell the level."""
    return shown({"node": context.node, "level": context.log_level()})


def put_log(context: ApiContext, request: Request) -> Response:
    """Change the level of this node until it starts anew or reads its file again with another one."""
    body = read_model(LogBody, request)
    before = context.log_level()
    context.set_log_level(body.level)
    logger.warning("log.level_changed", before=before, after=body.level, actor=request.identity.name)
    return get_log(context, request)
