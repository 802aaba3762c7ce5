-- purpose: friction of a journey's first contact beside whether the customer had to come again
-- grain: closed, final journey with a score whose first inbound contact with an intent is matured
-- key: session_id
-- sources: v_contacts, v_publication, v_scored_ends, v_steps, v_friction_evidence, v_validity_tests
create or replace view v_scored_contacts as
with contacts as (
    select * from v_contacts
    where intent is not null and direction = 'inbound' and not is_message
),

clock as (
    select repeat_window from v_publication
),

ends as (
    select
        journey_id,
        journey_type,
        ended_month
    from v_scored_ends
),

steps as (
    select
        journey_id,
        step_id,
        session_id
    from v_steps
),

neighboured as (
    select
        *,
        row_number() over (partition by journey_id order by started_at, session_id) as place,
        lead(started_at) over (
            partition by customer_key, intent
            order by started_at, session_id
        ) as next_inbound_at
    from contacts
),

-- One contact a journey, always its first: later ones have more friction before them and less
-- time after them, and a comparison of both would measure their place.
firsts as (
    select
        neighboured.session_id,
        neighboured.journey_id,
        neighboured.customer_key,
        neighboured.ended_at,
        coalesce(
            neighboured.outcome is distinct from 'sold'
            and neighboured.next_inbound_at - neighboured.started_at <= clock.repeat_window, false
        ) as is_repeated
    from neighboured
    cross join clock
    where
        neighboured.place = 1 and neighboured.is_past_known and neighboured.is_matured
        and not neighboured.is_repeat
),

circular as (
    select unnest(left_out) as kind
    from v_validity_tests
    where test = 'repeat_contact'
),

evidence as (
    select
        steps.session_id,
        friction.step_id,
        friction.severity,
        friction.kind_rank
    from v_friction_evidence as friction
    inner join steps
        on friction.journey_id = steps.journey_id and friction.step_id = steps.step_id
    inner join firsts on steps.session_id = firsts.session_id
    left join circular on friction.kind = circular.kind
    where circular.kind is null and friction.occurred_at <= firsts.ended_at
),

ranked as (
    select
        session_id,
        severity,
        row_number() over (partition by session_id, step_id order by kind_rank) - 1 as place
    from evidence
),

hazards as (
    select
        session_id,
        round(sum(-ln(1 - severity) / pow(2, place)), 12) as hazard
    from ranked
    group by session_id
),

scored as (
    select
        firsts.session_id,
        firsts.journey_id,
        firsts.customer_key,
        ends.journey_type,
        ends.ended_month,
        coalesce(hazards.hazard, 0) as hazard,
        firsts.is_repeated
    from firsts
    inner join ends on firsts.journey_id = ends.journey_id
    left join hazards on firsts.session_id = hazards.session_id
)

select * from scored;

comment on column v_scored_contacts.hazard is
'Hazard of its steps by what had happened when it ended; without the kinds that what comes next
makes or unmakes by rule (v_validity_tests, repeat_contact).';
