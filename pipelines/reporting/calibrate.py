"""`rejse calibrate`: weights of friction that the ends of journeys ask for. It changes nothing.

Kinds that an end makes or unmakes by rule (`circular_with` of their declarations, the view
v_validity_tests) are left out, for a bad end proves them by definition; so they keep their weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rejse.transforms.errors import MisuseError
from rejse.transforms.schema.parameters import WEIGHTS

if TYPE_CHECKING:
    from rejse.transforms.scoring.calibration.fit import Proposal
    from rejse.transforms.scoring.calibration.hazard_data import Ends, Pieces
    from rejse.transforms.scoring.calibration.holdout import Trial

#: So many journeys at most; above, whole customers are taken by their key, which is random.
MOST = 300_000
#: Fewer bad ends, or others, say too little about so many weights.
LEAST = 50
SEED = 7
LATE = "promise_late"  # promise_broken by its second weight

ENDS = """
with ends as (
    select * from v_scored_ends
    where is_bad_end is not null
),
customers as (
    select customer_key, sum(count(*)) over (order by customer_key) as n_so_far
    from ends
    group by customer_key
)
select
    ends.journey_id,
    ends.is_bad_end,
    dense_rank() over (order by ends.customer_key) - 1 as customer,
    dense_rank() over (order by ends.journey_type) - 1 as stratum,
    epoch_us(ends.ended_at) as moment,
    (select count(*) from ends) as n_ends
from ends
inner join customers on ends.customer_key = customers.customer_key
where customers.n_so_far <= greatest(?, (select min(n_so_far) from customers))
order by ends.journey_id
"""
PIECES = """
select
    journey_id,
    dense_rank() over (order by journey_id, step_id) - 1 as incident,
    case when kind = 'promise_broken' and detail = 'late' then 'promise_late' else kind end as kind,
    base_weight,
    intensity * confidence as factor
from v_friction_evidence
where is_final and kind not in (
    select unnest(left_out) from v_validity_tests
    where test = 'bad_end'
)
order by journey_id, step_id, kind, factor
"""
#: Kinds that the ends may weigh; a late promise is a broken one of less weight.
FREE = """
select kind from unnest(?) as every(kind)
where replace(kind, 'promise_late', 'promise_broken') not in (
    select unnest(left_out) from v_validity_tests
    where test = 'bad_end'
)
order by kind
"""


class CalibrationError(MisuseError):
    """Nothing can be proposed; the message says what is missing and what to do."""


@dataclass(frozen=True)
class Line:
    """What the ends say about one kind.

    `verdict`: raise or lower (beyond chance over all kinds), keep (the interval or chance allows
    the present weight), no evidence, by definition (an end makes or unmakes it by rule, so it is
    left out), or no tie (no kind goes with bad ends: then nothing is proposed).
    """

    kind: str
    n_journeys: int
    n_bad: int
    present: float
    proposed: float | None
    low: float | None
    high: float | None
    multiple: float | None
    tie_chance: float | None
    verdict: str


@dataclass(frozen=True)
class Calibration:
    """The whole answer: a line a kind, and how well each set of weights foretells later ends.

    `n_left_out` counts later journeys on which nothing is tried, for their type is first seen
    then; `trials` is empty where no later journey is left.
    """

    publication: int
    n_journeys: int
    n_bad: int
    is_sample: bool
    is_settled: bool
    is_tied: bool
    lines: list[Line]
    trials: list[Trial]
    n_left_out: int

    def weights(self) -> dict[str, Line]:
        """Kinds whose weight the ends would change beyond chance."""
        return {line.kind: line for line in self.lines if line.verdict in ("raise", "lower")}


def calibrate(session: Any, present: Mapping[str, float], most: int = MOST) -> Calibration:
    """Propose weights from the publication of `session`; `present` are those configured.

    Raises CalibrationError where too few journeys ended either way, where the publication was made
    with other weights, or where scipy is missing.
    """
    try:
        import scipy.optimize  # noqa: F401
    except ImportError:
        raise CalibrationError(
            "expected scipy for the fit, it is not installed; install it, such as by"
            " pip install '.[calibrate]' where rejse was installed from"
        ) from None
    from rejse.transforms.scoring.calibration.fit import propose
    from rejse.transforms.scoring.calibration.hazard_data import by_kind, ranks
    from rejse.transforms.scoring.calibration.holdout import n_left_out, trials
    from rejse.transforms.scoring.calibration.uncertainty import association, uncertainty

    ends, ids, n_types, is_sample = _ends(session, most)
    _expect_both(ends)
    kinds, pieces = _pieces(session, ids, present)
    now = np.array([present[kind] for kind in kinds])
    proposal = propose(ends, pieces, now, n_types)
    hazard = by_kind(pieces, ranks(pieces, now)[1], len(ends), len(kinds))
    tie = association(ends, np.round(hazard, 12), SEED)
    return Calibration(
        publication=session.execute("select max(publication) from v_publication").fetchone()[0],
        n_journeys=len(ends),
        n_bad=int(ends.bad.sum()),
        is_sample=is_sample,
        is_settled=proposal.is_settled,
        is_tied=_is_tied(tie),
        lines=_lines(
            kinds, present, proposal, uncertainty(proposal, ends, now, SEED), tie, hazard, ends
        ),
        trials=trials(ends, pieces, now, n_types),
        n_left_out=n_left_out(ends),
    )


def _is_tied(tie: Any) -> bool:
    from rejse.transforms.scoring.calibration.uncertainty import GATE

    return bool(len(tie)) and float(tie.min()) <= GATE


def _ends(session: Any, most: int) -> tuple[Ends, Any, int, bool]:
    """Ends, their journeys' ids, the number of types, and whether some were left out."""
    from rejse.transforms.scoring.calibration.hazard_data import Ends

    columns = session.execute(ENDS, [most]).fetchnumpy()
    ids = np.asarray(columns["journey_id"], dtype=object)
    whole = (
        np.asarray(columns[name], dtype=np.int64) for name in ("customer", "stratum", "moment")
    )
    ends = Ends(np.asarray(columns["is_bad_end"], dtype=bool), *whole)
    n_types = int(ends.stratum.max(initial=-1)) + 1
    return ends, ids, n_types, bool((columns["n_ends"] > len(ids)).any())


def _expect_both(ends: Ends) -> None:
    n_bad = int(ends.bad.sum())
    if min(n_bad, len(ends) - n_bad) < LEAST:
        raise CalibrationError(
            f"expected at least {LEAST} bad ends and {LEAST} others among closed, final journeys"
            f" with an outcome, came {n_bad:,} and {len(ends) - n_bad:,}; map `outcome` in more"
            " sources, or publish a longer time"
        )


def _pieces(session: Any, ids: Any, present: Mapping[str, float]) -> tuple[list[str], Pieces]:
    """Kinds in order of name, and the evidence of these journeys."""
    from rejse.transforms.scoring.calibration.hazard_data import Pieces

    columns = session.execute(PIECES).fetchnumpy()
    named = np.asarray(columns["kind"], dtype=str)
    _expect_same_weights(named, np.asarray(columns["base_weight"], dtype=float), present)
    free = session.execute(FREE, [sorted(present)]).fetchall()
    kinds = [kind for (kind,) in free]
    row = {name: place for place, name in enumerate(ids.tolist())}
    journey = np.array(
        [row.get(name, -1) for name in columns["journey_id"].tolist()], dtype=np.int64
    )
    kept = journey >= 0
    code = np.searchsorted(np.array(kinds), named[kept])
    incident = np.asarray(columns["incident"]).astype(np.int64)[kept]
    return kinds, Pieces(journey[kept], incident, code, np.asarray(columns["factor"], float)[kept])


def _expect_same_weights(named: Any, weight: Any, present: Mapping[str, float]) -> None:
    for kind in np.unique(named).tolist():
        published = float(weight[named == kind].max())
        if kind not in present or abs(published - present[kind]) > 1e-9:
            raise CalibrationError(
                f"{kind}: expected the weight of the publication, {published}, in rejse.toml too,"
                f" came {present.get(kind)}; `rejse run` publishes with the weights configured"
            )


def _lines(
    kinds: list[str],
    present: Mapping[str, float],
    proposal: Proposal,
    sure: Any,
    tie: Any,
    hazard: Any,
    ends: Ends,
) -> list[Line]:
    tied = _is_tied(tie)
    lines = [
        Line(kind, 0, 0, present[kind], None, None, None, None, None, "by definition")
        for kind in present
        if kind not in kinds
    ]
    for k, kind in enumerate(kinds):
        has, now = hazard[:, k] > 0, present[kind]
        n, n_bad = int(has.sum()), int((has & ends.bad).sum())
        if not n:
            lines.append(Line(kind, 0, 0, now, None, None, None, None, None, "no evidence"))
            continue
        grown = "raise" if proposal.multiple[k] > 1 else "lower"
        verdict = "no tie" if not tied else grown if sure.is_clear[k] else "keep"
        proposed = float(proposal.weights[k]) if tied else None
        lines.append(
            Line(
                kind, n, n_bad, now, proposed, float(sure.low[k]), float(sure.high[k]),
                float(proposal.multiple[k]), float(tie[k]), verdict,
            )
        )  # fmt: skip
    return sorted(lines, key=lambda line: (-line.n_journeys, line.kind))


def block(proposal: Calibration, configured: Mapping[str, float]) -> str:
    """A [weights] table in TOML: what is configured, and each weight that would change."""
    lines = [
        f"# proposed by `rejse calibrate` from {proposal.n_bad:,} bad ends of"
        f" {proposal.n_journeys:,} journeys; read it before you take it",
        "[weights]  # in place of the table of this name in rejse.toml, if there is one",
    ]
    changed = proposal.weights()
    for kind in sorted({*WEIGHTS, LATE}):
        if kind in changed:
            line = changed[kind]
            lines.append(
                f"{kind} = {line.proposed:.3f}  # was {line.present:g}; {line.low:.3f} to"
                f" {line.high:.3f} by {line.n_journeys:,} journeys"
            )
        elif kind in configured:
            lines.append(f"{kind} = {configured[kind]:g}  # as configured")
    if not changed:
        lines.append("# nothing differs from the present weights beyond chance")
    return "\n".join(lines)
