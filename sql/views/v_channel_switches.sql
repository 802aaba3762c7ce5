-- purpose: which channel family leads into which, inside a journey
-- grain: channel family and the next one
-- key: from_family, to_family
-- sources: v_sessions
create or replace view v_channel_switches as
with contacts as (
    select
        journey_id,
        channel_family,
        started_at,
        session_id
    from v_sessions
    where is_contact and not is_message
),

pairs as (
    select
        channel_family as from_family,
        lead(channel_family) over (
            partition by journey_id
            order by started_at, session_id
        ) as to_family,
        journey_id
    from contacts
),

counted as (
    select
        from_family,
        to_family,
        count(*) as n_pairs,
        count(distinct journey_id) as n_journeys
    from pairs
    where to_family is not null
    group by from_family, to_family
),

shared as (
    select
        *,
        from_family != to_family as is_switch,
        share_of(n_pairs, sum(n_pairs) over (partition by from_family)) as next_share
    from counted
)

select * from shared;

comment on view v_channel_switches is
'One row per pair of consecutive contacts'' channel families.';
comment on column v_channel_switches.from_family is 'Family of the earlier contact.';
comment on column v_channel_switches.to_family is 'Family of the next contact of the journey.';
comment on column v_channel_switches.n_pairs is 'Pairs of consecutive contacts.';
comment on column v_channel_switches.n_journeys is 'Journeys with such a pair.';
comment on column v_channel_switches.is_switch is 'The family changes.';
comment on column v_channel_switches.next_share is
'Share of this next family among all that follow the earlier one.';
