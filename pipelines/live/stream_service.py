"""The stream as a command: from what the last publication has not read, until it is stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rejse.pipelines.config import topic_options
from rejse.pipelines.config.field_types import SettingsError
from rejse.pipelines.config.settings import Settings
from rejse.pipelines.jobs import stream_graph
from rejse.pipelines.jobs.changed_parts import is_compatible
from rejse.pipelines.jobs.stream_values import ALERTS, LIVE_ROWS
from rejse.pipelines.live.hot_core import NoBaseError
from rejse.pipelines.live.stream_groups import GroupScorer
from rejse.pipelines.live.stream_topics import PartitionReader, TopicWriter, WrittenReader, unread
from rejse.pipelines.store import delta_store


@dataclass(frozen=True)
class Stream:
    """What a stream reads and writes.

    Attributes:
        config: The configuration file, which all workers find at this path.
        servers: Brokers of the topics that are written.
        live_rows: Topic of live rows.
        alerts: Topic of alerts; None: they are not written.
        options: Options of librdkafka for writing; `${NAME}` for secrets.
        n_groups: Groups of customers: so many workers can score at once.
        to_end: Read what there is, and end.
    """

    config: Path
    servers: str
    live_rows: str
    alerts: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    n_groups: int = 16
    to_end: bool = False

    def run(self, settings: Settings, beam_args: Sequence[str]) -> None:
        """Run until stopped, or until what there is has been read.

        Raises:
            NoBaseError: no publication under this configuration.
            SettingsError: alerts are to be written, and no rules are configured.
            BeamOptionsError: Beam does not take the options.

        Raises also what reading the topics raises.
        """
        base = delta_store.latest(settings.store)
        if base is None or not is_compatible(settings, base):
            raise NoBaseError("expected a publication under this configuration: first `rejse run`")
        if self.alerts is not None and settings.alerts is None:
            raise SettingsError("--alerts: expected the table [alerts] with their rules, came none")
        partitions = unread(settings, base)
        if not self.to_end:
            partitions = [replace(part, stop=stream_graph.NO_END) for part in partitions]
        topics = {LIVE_ROWS: self.live_rows, **({ALERTS: self.alerts} if self.alerts else {})}
        options = tuple(sorted(topic_options.checked(dict(self.options)).items()))
        disorder = {name: source.disorder for name, source in settings.sources.items()}
        writer = TopicWriter(topics, self.servers, options)
        parts = stream_graph.Parts(
            partitions=partitions,
            written=writer.partitions(),
            reader=PartitionReader(self.config, self.n_groups, disorder),
            restorer=WrittenReader(self.n_groups),
            scorer=GroupScorer(self.config, self.n_groups),
            writer=writer,
        )
        stream_graph.run(parts, beam_args)
