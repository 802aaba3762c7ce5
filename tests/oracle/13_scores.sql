-- purpose: severities, ranks inside incidents, hazards, friction and health of each journey, at
--          the weights and at half and one and a half times the weights
-- grain:   one row per piece and factor (`scored`); one row per journey (`score`)
-- key:     step, kind, detail, factor; j
-- sources: piece, weights, journey, outcome, measurable, settings
create or replace table scored as
with f as (select unnest([0.5, 1.0, 1.5]) as factor),

weighed as (
    select
        p.*,
        f.factor,
        least(
            f.factor
            * if(
                p.kind = 'promise_broken' and p.detail like '% late',
                s.late_promise_weight,
                w.weight
            ),
            0.95
        ) as weight
    from piece as p
    inner join weights as w on p.kind = w.kind
    cross join settings as s
    cross join f
),

severe as (
    select
        *,
        round(weight * g * confidence, 12) as severity
    from weighed
),

ranked as (
    select
        *,
        row_number() over (
            partition by step, factor
            order by severity desc, kind asc, occurred_t asc, detail asc
        ) - 1 as kind_rank
    from severe
    where severity > 0
)

select
    *,
    pow(0.5, kind_rank) * -ln(1 - severity) as hazard
from ranked;

create or replace table coverage as
with shares as (
    select
        load,
        avg(is_measurable::int) as evidence_coverage
    from measurable
    where grain = 'kind'
    group by load
)

select
    c.j,
    s.evidence_coverage
from carried as c
inner join shares as s on c.load = s.load;

create or replace table score as
with summed as (
    select
        j,
        factor,
        sum(hazard) as hazard,
        sum(hazard) filter (
            where kind not in (select n.kind from node_kind as n)
        ) as edge_hazard,
        count(*) as n_evidence
    from scored
    group by j, factor
),

f as (select unnest([0.5, 1.0, 1.5]) as factor),

measured as (
    select
        j.j,
        f.factor,
        j.is_closed,
        o.outcome01,
        coalesce(c.evidence_coverage, 0) as evidence_coverage,
        coalesce(s.n_evidence, 0) as n_evidence,
        if(
            coalesce(c.evidence_coverage, 0) < settings.coverage_floor and s.n_evidence is null,
            null, coalesce(s.hazard, 0)
        ) as hazard,
        coalesce(s.edge_hazard, 0) / s.hazard as friction_edge_share
    from journey as j
    cross join settings
    cross join f
    inner join outcome as o on j.j = o.j
    left join coverage as c on j.j = c.j
    left join summed as s on j.j = s.j and f.factor = s.factor
),

delivered as (
    select
        *,
        100 * (1 - exp(-hazard)) as friction_score,
        exp(-hazard) as delivery01,
        if(
            is_closed and outcome01 is not null and hazard is not null,
            100 * 0.75 / (
                0.35 / greatest(outcome01, 0.1) + 0.40 / greatest(exp(-hazard), 0.1)
            ),
            null
        ) as health_ops
    from measured
),

by_journey as (
    select
        j,
        any_value(n_evidence) as n_evidence,
        any_value(evidence_coverage) as evidence_coverage,
        any_value(hazard) filter (where factor = 1) as friction_hazard,
        any_value(friction_score) filter (where factor = 1) as friction_score,
        any_value(friction_score) filter (where factor = 0.5) as friction_score_lo,
        any_value(friction_score) filter (where factor = 1.5) as friction_score_hi,
        any_value(friction_edge_share) filter (where factor = 1) as friction_edge_share,
        any_value(delivery01) filter (where factor = 1) as delivery01,
        any_value(health_ops) filter (where factor = 1) as health_ops,
        least(
            any_value(health_ops) filter (where factor = 0.5),
            any_value(health_ops) filter (where factor = 1.5)
        ) as health_ops_lo,
        greatest(
            any_value(health_ops) filter (where factor = 0.5),
            any_value(health_ops) filter (where factor = 1.5)
        ) as health_ops_hi,
        any_value(outcome01) as outcome01
    from delivered
    group by j
)

select
    *,
    case
        when health_ops is null then null
        when outcome01 = 1 and delivery01 = 1 then null
        when
            0.35 * (1 / greatest(outcome01, 0.1) - 1) >= 0.40 * (1 / greatest(delivery01, 0.1) - 1)
            then 'outcome'
        else 'delivery'
    end as limiting_component
from by_journey;
