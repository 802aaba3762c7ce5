-- purpose: journeys whose band differs between two publications, each with what changed it
-- grain: journey_id
-- key: journey_id
-- sources: older.v_journeys, newer.v_journeys and what belongs to them; older.told, newer.told
with older_journeys as (
    select
        journeys.journey_id,
        journeys.customer_key,
        journeys.journey_type,
        journeys.revision,
        coalesce(felt.health, journeys.health_ops) as health,
        coalesce(felt.band, health_band(journeys.health_ops), 'unknown') as band
    from older.v_journeys as journeys
    left join older.v_journey_experience as felt on journeys.journey_id = felt.journey_id
),

newer_journeys as (
    select
        journeys.journey_id,
        journeys.customer_key,
        journeys.journey_type,
        journeys.revision,
        journeys.revision_reason,
        coalesce(felt.health, journeys.health_ops) as health,
        coalesce(felt.band, health_band(journeys.health_ops), 'unknown') as band
    from newer.v_journeys as journeys
    left join newer.v_journey_experience as felt on journeys.journey_id = felt.journey_id
),

changed as (
    select
        coalesce(newer_journeys.journey_id, older_journeys.journey_id) as journey_id,
        coalesce(newer_journeys.customer_key, older_journeys.customer_key) as customer_key,
        coalesce(newer_journeys.journey_type, older_journeys.journey_type) as journey_type,
        coalesce(older_journeys.band, 'absent') as band_before,
        coalesce(newer_journeys.band, 'absent') as band_after,
        older_journeys.health as health_before,
        newer_journeys.health as health_after,
        case
            when newer_journeys.revision > coalesce(older_journeys.revision, 1)
                then newer_journeys.revision_reason
        end as stated_reason
    from older_journeys
    full join newer_journeys on older_journeys.journey_id = newer_journeys.journey_id
    where older_journeys.band is distinct from newer_journeys.band
),

customers as (
    select distinct customer_key from changed
),

older_events as (
    select
        steps.journey_id,
        steps.customer_key,
        unnest(steps.event_ids) as event
    from older.v_steps as steps
    inner join customers on steps.customer_key = customers.customer_key
),

newer_events as (
    select
        steps.journey_id,
        steps.customer_key,
        unnest(steps.event_ids) as event
    from newer.v_steps as steps
    inner join customers on steps.customer_key = customers.customer_key
),

known_events as (
    select distinct event from older_events
),

-- Events are compared by customer, not by journey: other rules may cut the same events otherwise.
came as (
    select
        newer_events.journey_id,
        newer_events.customer_key,
        newer_events.event,
        known_events.event is not null as is_of_another
    from newer_events
    left join older_events
        on
            newer_events.customer_key = older_events.customer_key
            and newer_events.event = older_events.event
    left join known_events on newer_events.event = known_events.event
    where older_events.event is null
),

went as (
    select distinct older_events.journey_id
    from older_events
    left join newer_events
        on
            older_events.customer_key = newer_events.customer_key
            and older_events.event = newer_events.event
    where newer_events.event is null
),

frontiers as (
    select
        unnest(map_keys(frontiers)) as source,
        unnest(map_values(frontiers)) as complete_until
    from older.told
),

of_events as (
    select
        came.journey_id,
        bool_or(came.is_of_another) as is_of_another,
        bool_or(coalesce(events.time < frontiers.complete_until, false)) as is_late
    from came
    left join newer.events as events
        on
            came.customer_key = events.customer_key
            and came.event = events.source || '/' || events.id
    left join frontiers on events.source = frontiers.source
    group by came.journey_id
),

older_answers as (
    select
        journey_id,
        x_id,
        raw_score,
        is_answered,
        has_text
    from older.v_experience
),

newer_answers as (
    select
        journey_id,
        x_id,
        raw_score,
        is_answered,
        has_text
    from newer.v_experience
),

of_answers as (
    select distinct coalesce(newer_answers.journey_id, older_answers.journey_id) as journey_id
    from older_answers
    full join newer_answers
        on
            older_answers.x_id = newer_answers.x_id
            and older_answers.raw_score is not distinct from newer_answers.raw_score
            and older_answers.is_answered = newer_answers.is_answered
            and older_answers.has_text = newer_answers.has_text
    where older_answers.x_id is null or newer_answers.x_id is null
),

older_records as (
    select
        customer_key,
        md5(cast(cases as varchar)) as said
    from older.cases
    union all
    select
        customer_key,
        md5(cast(customers as varchar)) as said
    from older.customers
    union all
    select
        customer_key,
        md5(cast(owned_products as varchar)) as said
    from older.owned_products
),

newer_records as (
    select
        customer_key,
        md5(cast(cases as varchar)) as said
    from newer.cases
    union all
    select
        customer_key,
        md5(cast(customers as varchar)) as said
    from newer.customers
    union all
    select
        customer_key,
        md5(cast(owned_products as varchar)) as said
    from newer.owned_products
),

of_records as (
    select distinct coalesce(newer_records.customer_key, older_records.customer_key) as customer_key
    from older_records
    full join newer_records
        on
            older_records.customer_key = newer_records.customer_key
            and older_records.said = newer_records.said
    where older_records.said is null or newer_records.said is null
),

publications as (
    select
        older_told.config_version != newer_told.config_version as is_other_configuration,
        older_told.frontiers != newer_told.frontiers
        or older_told.x_frontiers != newer_told.x_frontiers as is_later
    from older.told as older_told
    cross join newer.told as newer_told
),

explained as (
    select
        changed.* exclude (stated_reason, customer_key),
        case
            when changed.stated_reason in ('identity', 'erasure') then changed.stated_reason
            when of_events.is_of_another then 'identity'
            when changed.stated_reason = 'late event' or of_events.is_late then 'late events'
            when of_events.journey_id is not null then 'new events'
            when went.journey_id is not null then 'withdrawn events'
            when of_answers.journey_id is not null then 'answers'
            when of_records.customer_key is not null then 'records'
            when publications.is_other_configuration then 'rules'
            when publications.is_later then 'time'
            else 'program'
        end as cause
    from changed
    cross join publications
    left join of_events on changed.journey_id = of_events.journey_id
    left join went on changed.journey_id = went.journey_id
    left join of_answers on changed.journey_id = of_answers.journey_id
    left join of_records on changed.customer_key = of_records.customer_key
)

select * from explained
order by journey_id
