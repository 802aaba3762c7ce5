"""Push the measurements of a store to a collector of OpenTelemetry (extra `rejse[otel]`)."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator

from rejse.pipelines.live.metrics import MEASURES, Measure
from rejse.pipelines.live.status import Status
from rejse.transforms.errors import MisuseError, RejseError

#: A collector is named by one of these; OpenTelemetry says what its other variables mean.
ENDPOINTS = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")

#: Seconds within which measurements are of one push.
SHARED_FOR = 5.0
#: Seconds that the last push may take: a service ends within ten.
MOST_SECONDS = 2


@contextlib.contextmanager
def pushed(state: Callable[[], Status]) -> Iterator[None]:
    """Push what `state` returns, once a minute and at the end, where a collector is named.

    Raises MisuseError where one is named and the library is not there.
    """
    if not any(os.environ.get(name) for name in ENDPOINTS):
        yield
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.metrics import CallbackOptions, Observation
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import Resource
    except ModuleNotFoundError:
        raise MisuseError(
            f"{ENDPOINTS[1]}: expected the extra `otel`; pip install 'rejse[otel]'"
        ) from None

    seen: list[tuple[float, Status]] = []

    def latest() -> Status:
        """Return a state that all measurements of one push share."""
        if not seen or time.monotonic() - seen[0][0] > SHARED_FOR:
            seen[:] = [(time.monotonic(), state())]
        return seen[0][1]

    def callback(measure: Measure) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            with contextlib.suppress(RejseError):  # the next minute's may be readable
                for labels, value in measure.values(latest()):
                    if value is not None:
                        yield Observation(value, dict(labels))

        return observe

    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    resource = Resource.create({"service.name": "rejse"})
    provider = MeterProvider([reader], resource, shutdown_on_exit=False)
    meter = provider.get_meter("rejse")
    for measure in MEASURES:
        meter.create_observable_gauge(
            measure.name, [callback(measure)], unit=measure.unit, description=measure.about
        )
    try:
        yield
    finally:
        provider.shutdown(timeout_millis=MOST_SECONDS * 1000)
