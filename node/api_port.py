"""The API's server with what a reload renews: the certificate that it shows, and the tokens of this node's file."""

import asyncio
import contextlib

from node.api.context import ApiContext
from node.api.course import LOOK_EVERY_S
from node.api.server import ApiError, ApiServer, ApiSettings
from node.api_plan import ApiPlan, FileFacts
from node.certificate import HTTP, BadCertificate, Certificate


class ApiPort:
    """Serves the API until it is stopped; ``facts`` is what the context looks into."""

    def __init__(self, plan: ApiPlan, context: ApiContext, facts: FileFacts) -> None:
        self._plan = plan
        self._context = context
        self._facts = facts
        self._server: ApiServer | None = None
        self._certificate: Certificate | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def url(self) -> str:
        """Where it is reached, with the port that was taken."""
        assert self._server is not None
        scheme = "http" if self._certificate is None else "https"
        return f"{scheme}://{self._server.addresses[0]}"

    async def start(self) -> None:
        """Listen and serve. Raises ``ApiError``, also for a certificate that cannot be used."""
        if self._plan.certificate is not None:
            try:
                self._certificate = Certificate(self._plan.certificate, alpn=HTTP)
            except BadCertificate as bad:
                raise ApiError(f"the API cannot show its certificate: {bad}") from None
        tls = None if self._certificate is None else self._certificate.context
        settings = ApiSettings(listen=self._plan.listen, tls=tls)
        self._server = ApiServer(settings, self._context, self._plan.inherited)
        await self._server.start()
        self._tasks.append(asyncio.create_task(self._follow_course()))
        if self._certificate is not None:
            self._tasks.append(asyncio.create_task(self._certificate.watch()))

    async def stop(self) -> None:
        """Serve no more."""
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self._server is not None:
            await self._server.stop()

    async def _follow_course(self) -> None:
        """Remember what the log says of the nodes, for the page of the cluster."""
        context = self._context
        while True:
            context.course.look(context.replica(), context.now_ms())
            await asyncio.sleep(LOOK_EVERY_S)

    def reload(self, plan: ApiPlan) -> None:
        """Take over the tokens and the certificate of a plan; where it listens stays."""
        self._facts.renew(plan)
        if self._certificate is not None and plan.certificate is not None:
            self._certificate.reload(plan.certificate)
