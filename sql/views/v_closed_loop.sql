-- purpose: how fast, and whether, somebody acts on complaints and low answers
-- grain: instrument and owner
-- key: instrument, owner
-- sources: v_experience, v_journeys
create or replace view v_closed_loop as
with records as (
    select
        instrument,
        owner,
        journey_id,
        is_ignored,
        acted_at,
        (epoch_us(acted_at) - epoch_us(occurred_at)) / 1e6 as close_s
    from v_experience
    where respondent_type = 'customer' and (instrument = 'complaint' or score01 <= 0.4)
),

journeys as (
    select
        journey_id,
        owner
    from v_journeys
),

owned as (
    select
        records.* exclude (owner),
        coalesce(records.owner, journeys.owner) as owner
    from records
    left join journeys on records.journey_id = journeys.journey_id
),

counted as (
    select
        instrument,
        owner,
        count(*) as n_records,
        count(acted_at) as n_acted,
        count(is_ignored) as n_judged,
        count(*) filter (is_ignored) as n_ignored,
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

comment on view v_closed_loop is
'One row per instrument and owner of customers'' complaints and low answers (up to .4).';
comment on column v_closed_loop.instrument is 'How it was asked or said.';
comment on column v_closed_loop.owner is 'Owner of the step, else of the journey; null: unknown.';
comment on column v_closed_loop.n_records is 'Complaints and low answers.';
comment on column v_closed_loop.n_acted is 'Of these, somebody acted on, however late.';
comment on column v_closed_loop.n_judged is
'Acted on, or their window has passed: known to be ignored or not.';
comment on column v_closed_loop.n_ignored is 'Of these, not acted on within the window.';
comment on column v_closed_loop.close_s_median is
'Median from the record to the action, of those acted on [s].';
comment on column v_closed_loop.close_s_p90 is 'What one in ten exceeds [s].';
comment on column v_closed_loop.ignored_share is
'Share ignored among those judged; null: none counted.';
comment on column v_closed_loop.ignored_share_lo is 'Lower end of its 95 % Wilson interval.';
comment on column v_closed_loop.ignored_share_hi is 'Upper end of its 95 % Wilson interval.';
