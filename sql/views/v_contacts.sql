-- purpose: contacts with the contact before and after of the same customer and intent
-- grain: contact: session with an event that is not internal
-- key: session_id
-- sources: v_sessions, v_journeys, v_steps, v_friction_evidence, v_experience, v_publication
create or replace view v_contacts as
with sessions as (
    select * from v_sessions
    where is_contact
),

clock as (
    select
        complete_until_at - lateness as settled_until_at,
        repeat_window,
        short_abandon_s
    from v_publication
),

-- What a source's contacts followed is known from W after its own beginning. One that begins later
-- takes nothing from the others: they lack what it logs as little as on all the days before.
begun as (
    select
        source,
        min(started_at) as first_at
    from v_sessions
    group by source
),

journeys as (
    select
        journey_id,
        journey_type
    from v_journeys
),

owners as (
    select
        session_id,
        arg_min(owner, seq) as owner
    from v_steps
    group by session_id
),

-- Work is passed on by an event, and its evidence begins at that event's step.
passed as (
    select
        steps.session_id,
        bool_or(evidence.kind = 'transfer') as is_transferred,
        bool_or(evidence.kind = 'escalation') as is_escalated
    from v_friction_evidence as evidence
    inner join v_steps as steps on evidence.prev_step_id = steps.step_id
    where evidence.kind in ('transfer', 'escalation')
    group by steps.session_id
),

confirmed as (
    select
        steps.session_id,
        last(answers.score01 > 0.5 order by answers.occurred_at, answers.x_id) as is_confirmed
    from v_experience as answers
    inner join v_steps as steps on answers.step_id = steps.step_id
    where
        answers.respondent_type = 'customer'
        and answers.score01 is not null
        and (answers.question_id = 'resolved' or list_contains(answers.topics, 'resolved'))
    group by steps.session_id
),

known as (
    select
        sessions.*,
        owners.owner,
        journeys.journey_type,
        sessions.intent is not null and sessions.direction = 'inbound' as is_comparable,
        -- who has bought comes with a new need, whatever he comes for: he repeats nothing
        case when coalesce(sessions.outcome != 'sold', true) then sessions.started_at end
            as needed_at
    from sessions
    left join owners on sessions.session_id = owners.session_id
    left join journeys on sessions.journey_id = journeys.journey_id
),

-- Who visited the web page first has not called yet: whether a contact is the first one is asked
-- within each level, too.
neighboured as (
    select
        *,
        lag(needed_at) over same_intent as last_at,
        lag(outcome) over same_intent as last_outcome,
        lead(started_at) over same_intent as next_at,
        lag(needed_at) over same_family as last_in_family_at,
        lag(needed_at) over same_channel as last_in_channel_at,
        lag(needed_at) over same_owner as last_of_owner_at,
        lag(needed_at) over same_type as last_of_type_at
    from known
    window
        same_intent as (
            partition by customer_key, intent, coalesce(direction = 'inbound', false)
            order by started_at, session_id
        ),
        same_family as (
            partition by
                customer_key, intent, coalesce(direction = 'inbound', false), channel_family
            order by started_at, session_id
        ),
        same_channel as (
            partition by customer_key, intent, coalesce(direction = 'inbound', false), channel
            order by started_at, session_id
        ),
        same_owner as (
            partition by customer_key, intent, coalesce(direction = 'inbound', false), owner
            order by started_at, session_id
        ),
        same_type as (
            partition by customer_key, intent, coalesce(direction = 'inbound', false), journey_type
            order by started_at, session_id
        )
),

contacts as (
    select
        neighboured.session_id,
        neighboured.journey_id,
        neighboured.customer_key,
        neighboured.journey_type,
        neighboured.owner,
        neighboured.channel_family,
        neighboured.channel,
        neighboured.source,
        neighboured.direction,
        neighboured.intent,
        neighboured.outcome,
        neighboured.is_message,
        neighboured.is_need_driven,
        neighboured.has_human,
        neighboured.has_machine,
        neighboured.fcr_flag,
        confirmed.is_confirmed,
        neighboured.started_at,
        neighboured.ended_at,
        neighboured.wait_s,
        neighboured.talk_s,
        neighboured.hold_s,
        neighboured.wrap_s,
        case when neighboured.is_comparable then neighboured.last_at end as earlier_at,
        case when neighboured.is_comparable then neighboured.last_outcome end as earlier_outcome,
        case when neighboured.is_comparable then neighboured.next_at end as later_at,
        neighboured.started_at - clock.repeat_window >= begun.first_at as is_past_known,
        neighboured.started_at + clock.repeat_window < clock.settled_until_at as is_matured,
        coalesce(
            neighboured.is_comparable
            and neighboured.started_at - neighboured.last_at <= clock.repeat_window, false
        ) as is_repeat,
        is_first_contact(
            neighboured.is_comparable, neighboured.started_at, neighboured.last_in_family_at,
            clock.repeat_window, begun.first_at
        ) as is_first_in_family,
        is_first_contact(
            neighboured.is_comparable, neighboured.started_at, neighboured.last_in_channel_at,
            clock.repeat_window, begun.first_at
        ) as is_first_in_channel,
        is_first_contact(
            neighboured.is_comparable, neighboured.started_at, neighboured.last_of_owner_at,
            clock.repeat_window, begun.first_at
        ) as is_first_of_owner,
        is_first_contact(
            neighboured.is_comparable, neighboured.started_at, neighboured.last_of_type_at,
            clock.repeat_window, begun.first_at
        ) as is_first_of_type,
        is_first_contact(
            neighboured.is_comparable, neighboured.started_at, neighboured.last_at,
            clock.repeat_window, begun.first_at
        ) as is_first,
        coalesce(
            neighboured.is_comparable
            and neighboured.next_at - neighboured.needed_at <= clock.repeat_window, false
        ) as is_repeated,
        -- Nobody queues on a web page, or hopes for a machine there to spare him a human.
        coalesce(
            has_queue(neighboured.channel_family)
            and neighboured.direction = 'inbound' and neighboured.outcome is not null, false
        ) as is_offered,
        coalesce(
            has_queue(neighboured.channel_family)
            and neighboured.direction = 'inbound'
            and neighboured.outcome = 'abandoned'
            and coalesce(neighboured.wait_s >= clock.short_abandon_s, true), false
        ) as is_abandoned,
        coalesce(
            (has_queue(neighboured.channel_family) or neighboured.has_human)
            and neighboured.direction = 'inbound' and neighboured.outcome != 'abandoned', false
        ) as is_handled,
        coalesce(passed.is_transferred, neighboured.outcome = 'transferred', false)
            as is_transferred,
        coalesce(passed.is_escalated, neighboured.outcome = 'escalated', false) as is_escalated,
        coalesce(
            has_queue(neighboured.channel_family)
            and neighboured.direction = 'inbound' and neighboured.has_machine, false
        ) as is_automated
    from neighboured
    cross join clock
    left join begun on neighboured.source = begun.source
    left join passed on neighboured.session_id = passed.session_id
    left join confirmed on neighboured.session_id = confirmed.session_id
)

select * from contacts;

comment on column v_contacts.owner is 'Owner of its first step that has one.';
comment on column v_contacts.is_confirmed is
'Customer says: resolved (last answer to question or topic resolved, above .5); null: not asked.';
comment on column v_contacts.earlier_at is
'Start of the last inbound contact of this customer with this intent; null where that ended sold,
after which a need is a new one [UTC].';
comment on column v_contacts.earlier_outcome is
'Last outcome of that contact; null: none, or unknown.';
comment on column v_contacts.later_at is
'Start of the next inbound contact of this customer with this intent [UTC].';
comment on column v_contacts.is_past_known is
'The window before it lies within the data of its source: not in the first W of that.';
comment on column v_contacts.is_matured is
'The window after it, and the allowed lateness, have passed in all sources.';
comment on column v_contacts.is_repeat is
'Inbound, and an earlier one of the same intent, not ended sold, lies within the window.';
comment on column v_contacts.is_first_in_family is
'Inbound with an intent, its past known, and none of that intent in the window before on the same
channel family: who visited the web page first has not called yet.';
comment on column v_contacts.is_first_in_channel is 'The same within its channel.';
comment on column v_contacts.is_first_of_owner is 'The same within its owner.';
comment on column v_contacts.is_first_of_type is 'The same within its journey type.';
comment on column v_contacts.is_first is 'The same over all channels and owners.';
comment on column v_contacts.is_repeated is
'Inbound, not ended sold, and a later one of the same intent lies within the window.';
comment on column v_contacts.is_offered is
'Inbound by voice or chat, where there is a queue to leave, with a logged outcome.';
comment on column v_contacts.is_abandoned is
'Offered, abandoned after at least the short-abandon threshold, or after an unknown wait.';
comment on column v_contacts.is_handled is
'Inbound by voice, by chat or with a human, with a logged outcome that is not abandoned.';
comment on column v_contacts.is_transferred is
'The customer was passed on in it, or its outcome says so.';
comment on column v_contacts.is_escalated is
'It was escalated to a higher tier or a supervisor.';
comment on column v_contacts.is_automated is
'Inbound by voice or chat with a machine in it: one that stands where a human could.';
