-- purpose: which channel family customers go to next, and how often they had to switch
-- grain: channel family and the next one
-- note: Pairs are of contacts that the customer made one after the other in a journey; not each is
--       a switch (channel_switch, n_channel_switches): see n_switches.
-- key: from_family, to_family
-- sources: v_sessions
create or replace view v_channel_switches as
with contacts as (
    select
        journey_id,
        channel_family,
        intent,
        is_settled(outcome) as is_settled,
        seq
    from v_sessions
    where is_contact and direction = 'inbound' and not is_message
),

pairs as (
    select
        channel_family as from_family,
        lead(channel_family) over next_contact as to_family,
        coalesce(intent = lead(intent) over next_contact, true) as is_same_need,
        is_settled,
        journey_id
    from contacts
    window next_contact as (partition by journey_id order by seq)
),

judged as (
    select
        *,
        from_family != to_family and is_same_need and not coalesce(is_settled, false) as is_switch,
        is_settled is null as is_outcome_unknown
    from pairs
    where to_family is not null
),

counted as (
    select
        from_family,
        to_family,
        count(*) as n_pairs,
        count(distinct journey_id) as n_journeys,
        count(*) filter (is_switch) as n_switches,
        count(*) filter (is_switch and is_outcome_unknown) as n_outcome_unknown
    from judged
    group by from_family, to_family
),

shared as (
    select
        *,
        share_of(n_pairs, sum(n_pairs) over (partition by from_family)) as next_share,
        share_of(n_switches, n_pairs) as switch_share,
        wilson_lo(n_switches, n_pairs) as switch_share_lo,
        wilson_hi(n_switches, n_pairs) as switch_share_hi
    from counted
)

select * from shared;

comment on column v_channel_switches.from_family is 'Family of the earlier contact.';
comment on column v_channel_switches.to_family is
'Family of the next contact that the customer made in the journey.';
comment on column v_channel_switches.n_pairs is 'Pairs of such contacts.';
comment on column v_channel_switches.n_journeys is 'Journeys with such a pair.';
comment on column v_channel_switches.n_switches is
'Of the pairs, of two families, for the same or an unknown need, the first of which did not settle
it: not resolved, sold or informed.';
comment on column v_channel_switches.n_outcome_unknown is
'Of the switches, those of which nobody logged how the first contact ended.';
comment on column v_channel_switches.next_share is
'Share of this next family among all that follow the earlier one.';
comment on column v_channel_switches.switch_share is
'Share of switches among the pairs; null: none counted.';
