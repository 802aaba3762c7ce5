-- purpose: what the customer does after each journey; association, not cause
-- grain: journey
-- key: journey_id
-- sources: v_journeys, v_journey_cohorts, v_ranked_journeys, v_sessions, v_steps, events,
--          v_publication
create or replace view v_next_journeys as
with journeys as (
    select * from v_journeys
),

clock as (
    select
        complete_until_at - lateness as settled_until_at,
        follow_up_window
    from v_publication
),

-- What the company sends unasked is no journey that the customer began.
begun as (
    select
        journeys.customer_key,
        journeys.started_at,
        journeys.journey_id,
        journeys.journey_type,
        journeys.state,
        ranked.health_ops,
        journeys.friction_score,
        journeys.outcome01,
        cohorts.is_resolved_in_time
    from journeys
    inner join v_journey_cohorts as cohorts on journeys.journey_id = cohorts.journey_id
    left join v_ranked_journeys as ranked on journeys.journey_id = ranked.journey_id
    where journeys.n_need_driven > 0
    -- of several that began at one instant one whole row: a figure that it lacks stays null
    qualify
        row_number() over (
            partition by journeys.customer_key, journeys.started_at
            order by journeys.journey_id
        ) = 1
),

-- A purchase is an event: most journeys in which something is sold go on, to its delivery, and end
-- otherwise. Steps outlive the events that they are made of.
bought as (
    select
        customer_key,
        time as bought_at
    from events
    where outcome = 'sold'
    union
    select
        customer_key,
        started_at as bought_at
    from v_steps
    where outcome = 'sold'
),

sales as (
    select count(*) as n_sales
    from bought
),

heard as (
    select distinct
        customer_key,
        started_at
    from v_sessions
    where is_contact and direction = 'inbound'
),

followed as (
    select
        journeys.journey_id,
        journeys.customer_key,
        journeys.journey_type,
        journeys.owner,
        journeys.state,
        journeys.ended_at,
        journeys.friction_score,
        journeys.health_ops,
        journeys.outcome01,
        begun.journey_id as next_journey_id,
        begun.journey_type as next_journey_type,
        begun.state as next_state,
        begun.started_at as next_started_at,
        begun.friction_score as next_friction_score,
        begun.health_ops as next_health_ops,
        begun.outcome01 as next_outcome01,
        begun.is_resolved_in_time as is_next_resolved_in_time,
        bought.bought_at,
        sales.n_sales,
        heard.started_at as heard_at,
        journeys.ended_at + clock.follow_up_window < clock.settled_until_at as is_matured,
        clock.follow_up_window
    from journeys
    cross join clock
    cross join sales
    asof left join begun
        on
            journeys.customer_key = begun.customer_key
            and journeys.ended_at < begun.started_at
    asof left join bought
        on
            journeys.customer_key = bought.customer_key
            and journeys.ended_at < bought.bought_at
    asof left join heard
        on
            journeys.customer_key = heard.customer_key
            and journeys.ended_at < heard.started_at
),

judged as (
    select
        journey_id,
        customer_key,
        journey_type,
        owner,
        state,
        ended_at,
        friction_score,
        health_ops,
        outcome01,
        is_matured,
        next_journey_id,
        next_journey_type,
        next_state,
        (epoch_us(next_started_at) - epoch_us(ended_at)) / 1e6 as next_after_s,
        next_friction_score,
        next_health_ops,
        next_outcome01,
        is_next_resolved_in_time,
        (epoch_us(heard_at) - epoch_us(ended_at)) / 1e6 as next_contact_after_s,
        case
            when is_matured and n_sales > 0
                then coalesce(bought_at <= ended_at + follow_up_window, false)
        end as is_repurchase,
        case
            when is_matured then not coalesce(heard_at <= ended_at + follow_up_window, false)
        end as is_silent
    from followed
)

select * from judged;

comment on column v_next_journeys.is_matured is
'The follow-up window after its end, and the allowed lateness, have passed in all sources.';
comment on column v_next_journeys.next_journey_id is
'First journey of the customer that began after its end, with a need-driven contact (of several at
one instant the one with the least journey_id); null: none.';
comment on column v_next_journeys.next_journey_type is 'Its type.';
comment on column v_next_journeys.next_state is 'closed, or open: its outcome is undecided.';
comment on column v_next_journeys.next_after_s is 'From the end of this one to its start [s].';
comment on column v_next_journeys.next_friction_score is 'Its F [points of 100].';
comment on column v_next_journeys.next_health_ops is
'Its health_ops; null while open, and where its end was assumed [points of 100].';
comment on column v_next_journeys.next_outcome01 is 'Its outcome, 0 to 1; null while open.';
comment on column v_next_journeys.is_next_resolved_in_time is
'It was resolved within the horizon of its type, and that held; null: not judged.';
comment on column v_next_journeys.next_contact_after_s is
'From the end of this one to the next inbound contact; null: none so far [s].';
comment on column v_next_journeys.is_repurchase is
'The customer bought (an event or step with outcome sold, in whichever journey) after its end and
within the window; null: not matured, or no purchase is recorded at all.';
comment on column v_next_journeys.is_silent is
'No inbound contact within the window: silence, which need not be churn; null: not matured.';
