"""The daemon's own log, on stderr: colours on a terminal, JSON lines otherwise, no secret in either."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import Any, Literal, TextIO, cast

import structlog

from routerd.mask import Mask

Format = Literal["auto", "console", "json"]


class Masking:
    """The last processor: renders the event and masks the text; `mask` is that of the configuration in force."""

    def __init__(self, render: structlog.typing.Processor) -> None:
        self._render = render
        self.mask = Mask(())

    def __call__(self, logger: Any, name: str, event: structlog.typing.EventDict) -> str:  # noqa: ANN401
        """Return the line to print."""
        return self.mask(str(self._render(logger, name, event)))


class _Forward(logging.Handler):
    """Gives what libraries log (asyncio, aiohttp) to structlog, so that it too is masked and in one form."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass one record on."""
        log = structlog.get_logger("routerd")
        log.log(record.levelno, "library", logger=record.name, message=record.getMessage(), exc_info=record.exc_info)


class _Stderr:
    """Standard error, which may refuse (a full disk, a reader that has gone): that must not take a request with it."""

    def write(self, text: str) -> None:
        """Write, if that is possible."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)

    def flush(self) -> None:
        """Flush, if that is possible."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


def configure(form: Format) -> Masking:
    """Set structlog and logging up; called once, when the daemon starts. Under `python -X dev` libraries say it all."""
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    if console:
        # Tracebacks are plain: those with locals show what a frame held, keys too.
        render: structlog.typing.Processor = structlog.dev.ConsoleRenderer(
            exception_formatter=structlog.dev.plain_traceback
        )
    else:
        render = structlog.processors.JSONRenderer(ensure_ascii=False)
    masking = Masking(render)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            *([] if console else [structlog.processors.format_exc_info]),
            masking,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if sys.flags.dev_mode else logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Stderr())),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(
        handlers=[_Forward()], level=logging.DEBUG if sys.flags.dev_mode else logging.WARNING, force=True
    )
    return masking
