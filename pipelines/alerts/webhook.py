"""Send messages to an address by POST, as structured CloudEvents.

A secret goes into one header; it is read from the environment for each message, and no error names
it. Redirects are not followed: they would carry it to another host.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from rejse.pipelines.alerts.messages import Message
from rejse.pipelines.alerts.receivers import RefusedError, UnreachableError
from rejse.pipelines.config.field_types import expand

CONTENT = "application/cloudevents+json; charset=utf-8"
#: Seconds in which the receiver must answer.
ANSWER = 10.0
#: Codes that ask for another try, beside those of a failed server.
LATER = frozenset({408, 425, 429})


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Takes a redirect for what it is: no delivery."""

    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass(frozen=True)
class WebhookReceiver:
    """An address that takes messages.

    Attributes:
        address: https, or http of this machine.
        header: Name of the header with the secret.
        secret: `${NAME}` of the environment variable with it; None: no such header.
        answer: Seconds in which it must answer.
    """

    address: str
    header: str = "Authorization"
    secret: str | None = None
    answer: float = ANSWER

    def send(self, message: Message) -> None:
        """Send a message. Raises UnreachableError, RefusedError."""
        opener = urllib.request.build_opener(_NoRedirect(), urllib.request.ProxyHandler({}))
        headers = {"Content-Type": CONTENT, "Idempotency-Key": message["id"]}
        if self.secret is not None:
            headers[self.header] = expand(self.secret)
        request = urllib.request.Request(
            self.address, json.dumps(message).encode(), headers, method="POST"
        )
        try:
            with opener.open(request, timeout=self.answer) as answer:
                answer.read(1)
        except urllib.error.HTTPError as fault:
            with fault:
                problem = f"the receiver answered {fault.code}"
                if fault.code >= 500 or fault.code in LATER:
                    raise UnreachableError(problem, _after(fault.headers)) from None
            raise RefusedError(problem) from None
        except (OSError, http.client.HTTPException, ValueError) as fault:
            kind = type(getattr(fault, "reason", fault)).__name__  # its text may hold the address
            raise UnreachableError(f"the receiver cannot be reached ({kind})") from None


def _after(headers: Any) -> float | None:
    """Return the seconds of `Retry-After`, given as such or as a date; None without."""
    given = headers.get("Retry-After")
    if given is None:
        return None
    if given.isdigit():
        return float(given)
    try:
        when = parsedate_to_datetime(given)
        return max(0.0, (when - parsedate_to_datetime(headers["Date"])).total_seconds())
    except (TypeError, ValueError, KeyError):
        return None
