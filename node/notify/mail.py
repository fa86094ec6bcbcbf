"""Notices as mail: several that wait go into one message, whose ``Message-ID`` is the same when it comes twice."""

import asyncio
import contextlib
import smtplib
import socket
import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

from node.notify.notice import NotAccepted, Notice
from node.notify.settings import Mail

STEP_TIMEOUT_S = 5.0
DEADLINE_S = 15.0
_SUBJECT_CHARACTERS_MAX = 150
_SAID_CHARACTERS = 120
_threads = ThreadPoolExecutor(2, thread_name_prefix="notify-mail")


async def send_mail(way: Mail, notices: Sequence[Notice]) -> str:
    """Send one message of all the notices. Raises ``NotAccepted``."""
    delivery = _Delivery(way, message_of(way, notices))
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(DEADLINE_S):
            await loop.run_in_executor(_threads, delivery.run)
    except TimeoutError:
        delivery.give_up()
        raise NotAccepted("the mail server does not answer in time") from None
    except ssl.SSLError:
        raise NotAccepted("the mail server's certificate cannot be verified") from None
    except smtplib.SMTPException as error:
        raise NotAccepted(_said(error)) from None
    except OSError as error:
        raise NotAccepted(f"the mail server cannot be reached ({type(error).__name__})") from None
    return f"{len(notices)} in a mail"


def message_of(way: Mail, notices: Sequence[Notice]) -> EmailMessage:
    """Return the message (RFC 5322)."""
    first = notices[0]
    message = EmailMessage()
    message["From"] = way.sender
    message["To"] = ", ".join(way.to)
    more = f" and {len(notices) - 1} more" if len(notices) > 1 else ""
    message["Subject"] = _line(f"[{first.cluster}] {first.line}")[:_SUBJECT_CHARACTERS_MAX] + more
    message["Date"] = format_datetime(datetime.fromtimestamp(first.event.at_ms / 1000, UTC))
    message["Message-ID"] = f"<{first.key}.{len(notices)}@{first.cluster}.quorumdns.invalid>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834
    message.set_content("\n".join(_paragraph(each) for each in notices))
    return message


def _paragraph(notice: Notice) -> str:
    event = notice.event
    by = f"   by {event.actor}" if event.actor else ""
    why = f" ({event.reason})" if event.reason else ""
    return _line(f"{notice.at}  {notice.line}{by}{why}   [{notice.key}]")


def _line(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


class _Delivery:
    """One conversation with a mail server, in a thread of its own."""

    def __init__(self, way: Mail, message: EmailMessage) -> None:
        self._way = way
        self._message = message
        self._client: smtplib.SMTP | None = None

    def run(self) -> None:
        """Hand the message over. Raises what ``smtplib`` raises."""
        way = self._way
        context = ssl.create_default_context()
        name = socket.gethostname()
        if way.tls == "implicit":
            client: smtplib.SMTP = smtplib.SMTP_SSL("", 0, name, timeout=STEP_TIMEOUT_S, context=context)
        else:
            client = smtplib.SMTP("", 0, name, timeout=STEP_TIMEOUT_S)
        self._client = client  # known before it connects, so that it can be given up while it does
        client._host = way.host  # type: ignore[attr-defined]  # noqa: SLF001  # the name that TLS verifies
        code, said = client.connect(way.host, way.port)
        try:
            if code != 220:
                raise smtplib.SMTPConnectError(code, said)
            if way.tls == "starttls":
                client.starttls(context=context)
            if way.user:
                client.login(way.user, way.password)
            refused = client.send_message(self._message, way.sender, list(way.to))
            if refused:
                raise smtplib.SMTPRecipientsRefused(refused)
        finally:
            self._close(client)

    def give_up(self) -> None:
        """End the conversation, whatever the thread waits for."""
        sock = None if self._client is None else getattr(self._client, "sock", None)
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def _close(client: smtplib.SMTP) -> None:
        with contextlib.suppress(smtplib.SMTPException, OSError):
            client.quit()
        client.close()


def _said(error: smtplib.SMTPException) -> str:
    """Return what the server said, never what we sent."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return f"the mail server refuses {_line(', '.join(error.recipients))[:_SAID_CHARACTERS]}"
    if isinstance(error, smtplib.SMTPResponseException):
        raw = error.smtp_error
        text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
        return f"the mail server said {error.smtp_code}: {_line(text)[:_SAID_CHARACTERS]}"
    return f"the mail server cannot be used ({type(error).__name__})"
