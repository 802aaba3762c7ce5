-- Purpose: what somebody felt on a journey: who answered, scores, curve, health.
-- Grain: one journey.
create temp table felt_steps as
with every as (
    select
        j,
        step,
        avg(u) filter (where is_solicited) as asked,
        arg_max(is_top_box, x) filter (where is_solicited) as is_top_box,
        avg(u) filter (where not is_solicited) as unasked
    from opinions
    where part = 'step'
    group by j, step
)

select
    *,
    coalesce(asked, unasked) as emotion,
    row_number() over (partition by j order by step) as place
from every;

create temp table felt as
with of_records as (
    select
        j,
        count(*) as n_records,
        count(*) filter (where is_customer and is_in_time is not null) as n_invited,
        count(*) filter (where is_customer and is_in_time) as n_answered,
        count(*) filter (where is_customer and is_invited and is_in_time is null) as n_pending,
        count(*) filter (
            where is_customer and is_answered and not is_invited and is_solicited
        ) as n_uninvited,
        count(*) filter (
            where is_customer and is_answered and not is_invited and not is_solicited
        ) as n_unasked,
        count(*) filter (where not is_customer and is_answered) as n_inside,
        count(*) filter (where is_ignored) as n_ignored,
        count(u) filter (where is_customer and instrument = 'empathy') as n_asked_understood,
        count(*) filter (where is_customer and instrument = 'empathy' and u > 0.5)
            as n_understood,
        arg_max(u, x) filter (where part = 'whole') as whole,
        arg_max(is_top_box, x) filter (where part = 'whole') as is_top_whole
    from opinions
    where j is not null
    group by j
),

of_steps as (
    select
        j,
        count(asked) as n_steps_asked,
        avg(asked) as step_mean,
        sum(asked) as step_sum,
        min(asked) as step_least,
        arg_max(asked, step) as step_last,
        arg_max(is_top_box, step) filter (where asked is not null) as is_top_step,
        count(*) as n_emotions,
        count(*) filter (where asked is null) as n_emotions_unasked,
        arg_min(emotion, step) as emotion_first,
        max(emotion) as emotion_peak,
        min(emotion) as emotion_lowest,
        arg_max(emotion, step) as emotion_end,
        case when count(*) > 1 then regr_slope(emotion, place) end as emotion_slope
    from felt_steps
    group by j
),

scores as (
    select
        r.*,
        s.* exclude (j),
        coalesce(s.n_steps_asked, 0) + cast(r.whole is not null as integer) as n_scores,
        (coalesce(s.step_sum, 0) + coalesce(r.whole, 0)) / nullif(n_scores, 0) as mean,
        least(s.step_least, r.whole) as least,
        coalesce(r.whole, s.step_last) as u_last,
        case when r.whole is not null then r.is_top_whole else s.is_top_step end as is_top_last
    from of_records as r
    left join of_steps as s on r.j = s.j
),

experienced as (
    select
        s.*,
        least(greatest(
            0.4 * (
                s.mean - (s.mean - s.least) * case when s.n_scores > 2 then b2.b / bn.b else 1 end
            ) + 0.4 * s.u_last + 0.2 * s.mean, 0
        ), 1) as experience
    from scores as s
    left join blom as bn on s.n_scores = bn.n
    left join blom as b2 on b2.n = 2
),

lost as (
    select
        e.*,
        case when e.mean is not null then e.experience end as experience01,
        j.* exclude (j, limiting_component),
        -- greatest() passes over nulls, and what is unknown must stay unknown
        case when j.outcome01 is not null then 0.35 * (1 / greatest(j.outcome01, 0.1) - 1) end
            as lost_o,
        0.40 * (1 / greatest(j.delivery01, 0.1) - 1) as lost_d,
        0.40 * (1 / greatest(1 - j.friction_score_hi / 100, 0.1) - 1) as lost_d_most,
        0.40 * (1 / greatest(1 - j.friction_score_lo / 100, 0.1) - 1) as lost_d_least,
        case when e.mean is not null then 0.25 * (1 / greatest(e.experience, 0.1) - 1) end
            as lost_x,
        j.state = 'closed' and e.mean is not null as has_health,
        case when j.outcome01 is null then 0.65 else 1 end as weight
    from experienced as e
    inner join journeys as j on e.j = j.j
)

select
    *,
    coalesce(lost_o, 0) + lost_d + lost_x as loss,
    case when has_health then 100 * weight / (weight + loss) end as health
from lost;

create temp view out_experience as
select
    concat('surveys/', a.answer_no) as x_id,
    a.customer_key,
    i.journey_id,
    n.step_id,
    a.who as respondent_type,
    a.instrument,
    a.level,
    a.time as occurred_at,
    coalesce(a.flow, cast(o.journey_type as varchar)) as journey_type,
    coalesce(a.place, cast(n.touchpoint as varchar)) as touchpoint,
    n.owner,
    a.points as raw_score,
    a.lo as scale_min,
    a.hi as scale_max,
    a.is_solicited,
    a.is_answered,
    case when a.part = 'whole' or a.is_solicited then a.part end as scored_as,
    a.invited_at,
    a.responded_at,
    a.acted_at,
    a.method as join_method,
    a.unjoined,
    a.u as score01,
    a.is_top_box,
    a.is_ignored,
    a.is_invited,
    a.is_in_time,
    cast(floor(a.gap / 1000000) as bigint) as join_gap_s,
    a.us + 86400000000 < epoch_us(f.frontier) - 86400000000
    and coalesce(i.is_final, true)
    and (a.target is null or coalesce(a.method = 'event', false)) as is_final
from opinions as a
cross join found_texts as f
left join ids as i on a.j = i.j
left join journeys as o on a.j = o.j
left join named_steps as n on a.step = n.step;

create temp view out_journey_experience as
with final as (
    select
        a.j,
        bool_and(
            a.us + 86400000000 < epoch_us(f.frontier) - 86400000000
            and (a.target is null or a.method = 'event')
        ) as are_final
    from opinions as a
    cross join found_texts as f
    where a.j is not null
    group by a.j
)

select
    f.journey_id,
    f.customer_key,
    f.journey_type,
    f.owner,
    f.started_at,
    f.ended_at,
    f.state,
    f.outcome01,
    f.delivery01,
    f.friction_score,
    f.n_records,
    f.n_invited,
    f.n_answered,
    f.n_pending,
    f.n_uninvited,
    f.n_unasked,
    f.n_inside,
    f.n_ignored,
    f.n_answered / nullif(f.n_invited, 0) as response_share,
    f.n_scores,
    f.experience01,
    f.step_mean as touchpoint_score_mean,
    f.whole as journey_score,
    f.step_mean - f.whole as silo_gap,
    coalesce(f.n_emotions, 0) as n_emotions,
    coalesce(f.n_emotions_unasked, 0) as n_emotions_unasked,
    f.emotion_first,
    f.emotion_peak,
    f.emotion_lowest,
    f.emotion_end,
    f.emotion_slope,
    f.health,
    case when f.has_health then 100 * f.weight / (f.weight + f.loss - f.lost_d + f.lost_d_most) end
        as health_lo,
    case when f.has_health then 100 * f.weight / (f.weight + f.loss - f.lost_d + f.lost_d_least) end
        as health_hi,
    cast(
        case when f.outcome01 is null then 0 else 0.35 end + 0.4
        + case when f.experience01 is null then 0 else 0.25 end as double
    ) as health_coverage,
    case
        when f.health >= 80 then 'good'
        when f.health >= 60 then 'fair'
        when f.health is not null then 'poor'
    end as band,
    case
        when f.has_health and f.lost_o is not null
            then coalesce(f.lost_o / nullif(f.loss, 0), 0)
    end as lost_by_outcome,
    case when f.has_health then coalesce(f.lost_d / nullif(f.loss, 0), 0) end as lost_by_delivery,
    case when f.has_health then coalesce(f.lost_x / nullif(f.loss, 0), 0) end as lost_by_experience,
    case
        when not f.has_health or f.loss = 0 then null
        when coalesce(f.lost_o, 0) >= greatest(f.lost_d, f.lost_x) then 'outcome'
        when f.lost_d >= f.lost_x then 'delivery'
        else 'experience'
    end as limiting_component,
    case when f.is_top_last is not null then f.is_top_last and f.friction_score >= 50 end
        as is_relief,
    f.n_asked_understood,
    f.n_understood / nullif(f.n_asked_understood, 0) as empathy_share,
    f.is_final and n.are_final as is_final
from felt as f
inner join final as n on f.j = n.j;
