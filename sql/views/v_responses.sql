-- purpose: who answers when asked: response rates, the silent among the invited counted
-- grain: respondent, instrument, level, touchpoint, journey type and month of invitation
-- key: respondent_type, instrument, level, touchpoint, journey_type, invited_month
-- sources: v_experience
create or replace view v_responses as
with records as (
    select
        *,
        coalesce(invited_at, occurred_at) as asked_at
    from v_experience
    where is_solicited or is_invited
),

counted as (
    select
        respondent_type,
        instrument,
        level,
        touchpoint,
        journey_type,
        date_trunc('month', asked_at)::date as invited_month,
        count(is_in_time) as n_invited,
        count(*) filter (is_in_time) as n_answered,
        count(*) filter (is_answered and not is_in_time) as n_late,
        count(*) filter (is_invited and is_in_time is null) as n_pending,
        count(*) filter (not is_invited) as n_uninvited,
        median(epoch_us(responded_at) - epoch_us(invited_at)) filter (
            is_invited and is_answered
        ) / 1e6 as answer_s_median,
        count(score01) as n_scores,
        avg(score01) as score_mean
    from records
    group by respondent_type, instrument, level, touchpoint, journey_type, invited_month
),

rated as (
    select
        *,
        share_of(n_answered, n_invited) as response_share,
        wilson_lo(n_answered, n_invited) as response_share_lo,
        wilson_hi(n_answered, n_invited) as response_share_hi
    from counted
)

select * from rated;

comment on column v_responses.respondent_type is 'customer, employee or partner.';
comment on column v_responses.invited_month is 'Month of the invitation (UTC).';
comment on column v_responses.n_invited is
'Logged invitations whose survey window has passed, as far as their own source is complete.';
comment on column v_responses.n_answered is 'Of these answered within the window.';
comment on column v_responses.n_late is 'Of these answered later: not answered in time.';
comment on column v_responses.n_pending is 'Invitations whose window has not passed yet.';
comment on column v_responses.n_uninvited is
'Answers whose invitation was not logged: no rate can count them.';
comment on column v_responses.answer_s_median is 'Median from invitation to answer [s].';
comment on column v_responses.n_scores is 'Answers with a score on their scale.';
comment on column v_responses.score_mean is
'Mean score on one scale, 0 to 1: of those who answered, not of those who were asked.';
comment on column v_responses.response_share is 'Answered among invited; null: none counted.';
