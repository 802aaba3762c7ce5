"""Routes for those who watch a service: `/metrics` and `/health`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus

from rejse.pipelines.live import metrics
from rejse.pipelines.live.http_server import Answer, Query, Route, as_json, refusal
from rejse.pipelines.live.status import Status, refuse_stale
from rejse.transforms.errors import StaleError
from rejse.transforms.schema import durations

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


def routes(state: Callable[[], Status]) -> Mapping[str, Route]:
    """Return the routes that say what `state` returns.

    `/health` answers 200 or 503: no publication, files gone, or, with `?max_age=15min`, no run that
    succeeded since.
    """

    def measured(_: Query) -> Answer:
        return Answer(HTTPStatus.OK, PROMETHEUS, metrics.prometheus(state()).encode())

    def health(query: Query) -> Answer:
        text = query.address.get("max_age")
        try:
            at_most = None if text is None else durations.parse(text)
        except ValueError as fault:
            return refusal(HTTPStatus.BAD_REQUEST, f"max_age: {fault}")
        problem = _problem(state(), at_most)
        if problem is None:
            return as_json({"status": "ok"})
        return as_json({"status": "failed", "error": problem}, HTTPStatus.SERVICE_UNAVAILABLE)

    return {"/metrics": measured, "/health": health}


def _problem(state: Status, at_most: int | None) -> str | None:
    if state.publication is None:
        return "no publication"
    if state.missing:
        return f"files of the publication that are gone or cut short: {len(state.missing)}"
    try:
        if at_most is not None:
            refuse_stale(state, at_most)
    except StaleError as fault:
        return str(fault)
    return None
