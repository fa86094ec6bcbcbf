"""One try at telling one receiver, whichever way it is told."""

from collections.abc import Sequence

from node.notify.mail import send_mail
from node.notify.notice import Notice
from node.notify.script import run_script
from node.notify.settings import Mail, Receiver, Webhook
from node.notify.webhook import send_webhook


async def send(receiver: Receiver, notices: Sequence[Notice], node: str) -> str:
    """Tell the receiver of the notices, of which all but mail take one; return how it was taken. Raises ``NotAccepted``."""
    way = receiver.way
    if isinstance(way, Mail):
        return await send_mail(way, notices)
    (notice,) = notices
    if isinstance(way, Webhook):
        return await send_webhook(way, notice, node)
    return await run_script(way, notice)
