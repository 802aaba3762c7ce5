"""The route of cards: `POST /card`, or `GET /card` with the header `Rejse-Identity`.

An identity in an address would stand in the logs of every proxy, and in the history of every
browser and shell on the way. There only a pseudonym is taken.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Protocol

from rejse.pipelines.live.http_server import Answer, Query, as_json, as_text, refusal
from rejse.pipelines.publication.catalogue import NotPublishedError
from rejse.pipelines.reporting.card.lookup import CardAnswer, UnknownCustomerError
from rejse.pipelines.reporting.identity_links import IdentityError

PATH = "/card"
EXPECTED = (
    'expected an identity in a body of JSON, {"identity": "customer:C1"} with `Content-Type:'
    " application/json`, or in the header Rejse-Identity; in the address only a pseudonym, for"
    " addresses are written down on their way"
)
_PSEUDONYM = re.compile(r"[0-9a-f]{32}")


class Reader(Protocol):
    """Makes cards (`lookup.Cards`)."""

    def of(self, identity: str) -> CardAnswer:
        """Return the card of a customer."""


class CardRoute:
    """Answers with cards, as JSON or, with `format=text`, as text."""

    def __init__(self, cards: Reader) -> None:
        self._cards = cards

    def __call__(self, query: Query) -> Answer:
        """Return the card that a query asks for."""
        identity = query.private.get("identity") or query.address.get("identity", "")
        is_private = "identity" in query.private
        if not identity or not (is_private or _PSEUDONYM.fullmatch(identity)):
            return refusal(HTTPStatus.BAD_REQUEST, EXPECTED)
        try:
            answer = self._cards.of(identity)
        except IdentityError:
            return refusal(HTTPStatus.BAD_REQUEST, EXPECTED)
        except UnknownCustomerError as unknown:
            return refusal(HTTPStatus.NOT_FOUND, str(unknown))
        except NotPublishedError:
            return refusal(HTTPStatus.SERVICE_UNAVAILABLE, "nothing is published yet")
        if query.address.get("format") == "text":
            return as_text(answer.text())
        return as_json(answer.fields())
