-- purpose: how fast, and whether, somebody acts on complaints and low answers
-- grain: instrument and owner
-- note: Of customers only; an answer is low up to .4.
-- key: instrument, owner
-- sources: v_experience, v_journeys, v_x_complete, v_publication
create or replace view v_closed_loop as
with records as (
    select
        x_id,
        instrument,
        owner,
        journey_id,
        is_ignored,
        occurred_at,
        acted_at,
        (epoch_us(acted_at) - epoch_us(occurred_at)) / 1e6 as close_s,
        respondent_type = 'customer' and (instrument = 'complaint' or score01 <= 0.4) as is_asking,
        -- a source without a single action logs none: whether somebody acted is unknown
        count(acted_at) over (partition by split_part(x_id, '/', 1)) > 0 as is_loop_logged
    from v_experience
),

journeys as (
    select
        journey_id,
        owner
    from v_journeys
),

clock as (
    select ignored_window
    from v_publication
),

complete as (
    select * from v_x_complete
),

owned as (
    select
        records.* exclude (owner, is_asking),
        coalesce(records.owner, journeys.owner) as owner,
        coalesce(
            records.is_loop_logged
            and records.occurred_at + clock.ignored_window < complete.settled_until_at, false
        ) as is_matured
    from records
    cross join clock
    left join journeys on records.journey_id = journeys.journey_id
    left join complete on records.x_id = complete.x_id
    where records.is_asking
),

counted as (
    select
        instrument,
        owner,
        count(*) as n_records,
        count(acted_at) as n_acted,
        -- who was quick is known at once, who was slow only later: both wait for the window
        count(is_ignored) filter (is_matured) as n_judged,
        count(*) filter (is_matured and is_ignored) as n_ignored,
        median(close_s) as close_s_median,
        quantile_cont(close_s, 0.9) as close_s_p90
    from owned
    group by instrument, owner
),

rated as (
    select
        *,
        share_of(n_ignored, n_judged) as ignored_share,
        wilson_lo(n_ignored, n_judged) as ignored_share_lo,
        wilson_hi(n_ignored, n_judged) as ignored_share_hi
    from counted
)

select * from rated;

comment on column v_closed_loop.owner is 'Owner of the step, else of the journey; null: unknown.';
comment on column v_closed_loop.n_records is 'Complaints and low answers.';
comment on column v_closed_loop.n_acted is 'Of these, somebody acted on, however late.';
comment on column v_closed_loop.n_judged is
'Of n_records, their window has passed, and their source logs actions: known to be ignored or not.';
comment on column v_closed_loop.n_ignored is 'Of these, not acted on within the window.';
comment on column v_closed_loop.close_s_median is
'Median from the record to the action, of those acted on [s].';
comment on column v_closed_loop.close_s_p90 is 'What one in ten exceeds [s].';
comment on column v_closed_loop.ignored_share is
'Share ignored among those judged; null: none counted.';
