"""Whose an event is: its team and its owner, logged or from the tables as of its time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rejse.transforms.columnar.arrays import NULL, Bools, Ints
from rejse.transforms.columnar.event_table import Categorical, Events
from rejse.transforms.dimensions.tables import Operational


@dataclass(frozen=True)
class Belonging:
    """Of each event: owner, team, whence they come, and the row of the team as of its time.

    Team: the event's own, else that of its agent (`agents`), else its touchpoint's. Owner: the
    event's own, else its touchpoint's, else its team's (`teams`). Both as of the event's time.
    """

    owner: Categorical
    owner_from_table: Bools
    team: Categorical
    team_from_place: Bools
    squad: Ints

    def rows(self, order: Ints) -> Belonging:
        """The same of the events in another order, or of some of them."""
        return Belonging(
            self.owner.rows(order), self.owner_from_table[order], self.team.rows(order),
            self.team_from_place[order], self.squad[order],
        )  # fmt: skip


def belonging(events: Events, place: Ints, data: Operational) -> Belonging:
    """Whose each event is; `place` is the row of its touchpoint as of its time, -1 for none."""
    time, acted = events.time, events.coded("team")
    if data.has("agents"):
        agent = data.agents.rows(events.coded("actor_id"), time)
        acted = acted.fallback(data.agents.text("team", agent))
    team = acted.fallback(data.touchpoints.text("team", place))
    squad = np.full(events.n, NULL, np.int64)
    own = events.coded("owner")
    owner = own.fallback(data.touchpoints.text("owner", place))
    if data.has("teams"):
        squad = data.teams.rows(team, time)
        owner = owner.fallback(data.teams.text("owner", squad))
    return Belonging(owner, ~own.known & owner.known, team, ~acted.known & team.known, squad)
