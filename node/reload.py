"""SIGHUP: the configuration is read again; what can change while the node runs changes, a bad file changes nothing."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import structlog

from node.api_plan import ApiPlan
from node.config import Config, ConfigError, load
from node.config.compare import compare
from node.dns_plan import DnsPlan
from node.observe import set_level
from node.plan import StartError, reloaded_api, reloaded_dns

logger = structlog.get_logger()

_TAKEN = ("dns", "tsig", "api.tokens", "api.certificate", "log")
"""Keys of ``compare`` that are taken over; the keys that pushes sign with stay until the next start."""


class Reloader:
    """Reads the file that a node was started with again."""

    def __init__(self, config: Config) -> None:
        self._started = self.config = config
        self._take: Callable[[DnsPlan], None] | None = None
        self._take_api: Callable[[ApiPlan], None] | None = None
        self._read_certificates: Callable[[], object] | None = None
        self._during: Callable[[], AbstractContextManager[None]] = nullcontext

    def listen(
        self,
        take_dns: Callable[[DnsPlan], None],
        take_api: Callable[[ApiPlan], None],
        read_certificates: Callable[[], object],
        during: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Hand what has changed over at every SIGHUP, within ``during``; call it in the loop's thread."""
        self._during = during
        self._take = take_dns
        self._take_api = take_api
        self._read_certificates = read_certificates
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._hang_up)

    def _hang_up(self) -> None:
        """Read the certificates between nodes again, which are files of their own, and then the configuration."""
        with self._during():
            if self._read_certificates is not None:
                self._read_certificates()
            self.reload()

    def reload(self) -> bool:
        """Read the file again; say whether it could be taken over. Never raises."""
        path = self.config.path
        try:
            fresh = load(path, os.environ, self.config.node.name)
            plan, api = reloaded_dns(fresh), reloaded_api(fresh)
        except (ConfigError, StartError) as error:
            detail = error.render() if isinstance(error, ConfigError) else str(error)
            logger.error("config.refused", path=str(path), detail=detail)
            return False
        self._say_what_is_left(fresh)
        if self._take is not None:
            self._take(plan)
        if self._take_api is not None:
            self._take_api(api)
        if fresh.log.level != self.config.log.level:
            set_level(fresh.log.level)
        taken = [key for key in compare(self.config, fresh).reload if key in _TAKEN]
        logger.info("config.reloaded", path=str(path), keys=taken)
        self.config = fresh
        return True

    def _say_what_is_left(self, fresh: Config) -> None:
        """Tell what differs from what this node was started with and cannot be taken over."""
        difference = compare(self._started, fresh)
        restart = [*difference.restart, *(key for key in difference.reload if key not in _TAKEN)]
        if restart:
            logger.warning("config.restart_needed", path=str(fresh.path), keys=restart)
        if difference.apply:
            logger.warning(
                "config.not_applied",
                path=str(fresh.path),
                keys=list(difference.apply),
                hint="the log owns them",
            )
