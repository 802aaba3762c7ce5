-- purpose: friction of each closed journey beside what came of it, to test the one by the other
-- grain: closed, final journey with a friction score
-- key: journey_id
-- sources: v_journeys, v_ranked_journeys, v_friction_evidence, v_experience, v_journey_experience,
--          v_validity_tests
create or replace view v_scored_ends as
with journeys as (
    select
        journey_id,
        customer_key,
        journey_type,
        ended_at,
        friction_hazard,
        friction_score
    from v_journeys
    where state = 'closed' and is_final and friction_score is not null
),

-- An end that is only assumed is no witness.
outcomes as (
    select
        journey_id,
        outcome01
    from v_ranked_journeys
),

circular as (
    select unnest(left_out) as kind
    from v_validity_tests
    where test = 'bad_end'
),

evidence as (
    select
        friction.journey_id,
        friction.severity,
        row_number() over (
            partition by friction.journey_id, friction.step_id
            order by friction.kind_rank
        ) - 1 as place
    from v_friction_evidence as friction
    left join circular on friction.kind = circular.kind
    where circular.kind is null
),

hazards as (
    select
        journey_id,
        round(sum(-ln(1 - severity) / pow(2, place)), 12) as hazard_apart
    from evidence
    group by journey_id
),

efforts as (
    select
        journey_id,
        avg(score01) as ces01
    from v_experience
    where
        instrument = 'ces' and respondent_type = 'customer' and is_solicited
        and scored_as is not null and score01 is not null
    group by journey_id
),

felt as (
    select
        journey_id,
        experience01
    from v_journey_experience
),

ends as (
    select
        journeys.journey_id,
        journeys.customer_key,
        journeys.journey_type,
        journeys.ended_at,
        date_trunc('month', journeys.ended_at)::date as ended_month,
        journeys.friction_score,
        journeys.friction_hazard,
        coalesce(hazards.hazard_apart, 0) as hazard_apart,
        1 - exp(-coalesce(hazards.hazard_apart, 0)) as predicted,
        outcomes.outcome01 < 0.5 as is_bad_end,
        efforts.ces01,
        felt.experience01
    from journeys
    left join outcomes on journeys.journey_id = outcomes.journey_id
    left join hazards on journeys.journey_id = hazards.journey_id
    left join efforts on journeys.journey_id = efforts.journey_id
    left join felt on journeys.journey_id = felt.journey_id
)

select * from ends;

comment on column v_scored_ends.ended_month is 'First day of the month in which it ended.';
comment on column v_scored_ends.hazard_apart is
'H without the kinds that an end makes or unmakes by rule (v_validity_tests, bad_end).';
comment on column v_scored_ends.predicted is
'1 - e^-hazard_apart: the chance of a bad end if F were one, 0 to 1.';
comment on column v_scored_ends.is_bad_end is
'Outcome below one half; null where no outcome is recorded.';
comment on column v_scored_ends.ces01 is
'Mean of its answered questions on effort, 0 to 1, 1 = no effort; null: not asked or silent.';
