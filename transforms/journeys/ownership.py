"""Team and owner of each event: logged, else from the tables as of its time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rejse.transforms.columnar.arrays import NULL, Bools, Ints
from rejse.transforms.columnar.event_table import Categorical, Events
from rejse.transforms.dimensions.tables import Operational


@dataclass(frozen=True)
class Ownership:
    """Owner and team of each event, their origin, and the row of the team in `teams`, -1 if none.

    Team: logged, else that of the agent (`agents`), else the touchpoint's. Owner: logged, else the
    touchpoint's, else the team's (`teams`). All as of the event's time.
    """

    owner: Categorical
    owner_from_table: Bools
    team: Categorical
    team_from_place: Bools
    team_row: Ints

    def rows(self, order: Ints) -> Ownership:
        """Select events by row."""
        return Ownership(
            self.owner.rows(order),
            self.owner_from_table[order],
            self.team.rows(order),
            self.team_from_place[order],
            self.team_row[order],
        )


def assign_owners(events: Events, place_row: Ints, data: Operational) -> Ownership:
    """Return owner and team of each event.

    `place_row` is the row of its touchpoint as of its time, -1 if none.
    """
    time, acted = events.time, events.coded("team")
    if data.has("agents"):
        agent = data.agents.rows(events.coded("actor_id"), time)
        acted = acted.fallback(data.agents.text("team", agent))
    team = acted.fallback(data.touchpoints.text("team", place_row))
    team_row = np.full(events.n, NULL, np.int64)
    own = events.coded("owner")
    owner = own.fallback(data.touchpoints.text("owner", place_row))
    if data.has("teams"):
        team_row = data.teams.rows(team, time)
        owner = owner.fallback(data.teams.text("owner", team_row))
    return Ownership(owner, ~own.known & owner.known, team, ~acted.known & team.known, team_row)
