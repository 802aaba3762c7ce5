-- purpose: journeys with X-records: who answered, experience, curve, gap, health, relief
-- grain:   one row per journey with an X-record
-- key:     journey_id
-- sources: x_joined, o_experience, o_journeys, step, blom, settings
create or replace table x_score as
with
told as (
    select
        j.journey_id,
        x.place,
        e.scored_as,
        x.step as seq,
        coalesce(x.u, x.sentiment01) as u,
        x.u is null as is_text,
        if(x.u is null, x.sentiment01 > 0.9 - 1e-12, e.is_top_box) as is_top_box,
        case
            when not x.is_customer or x.level != 'touchpoint' or x.step is null then null
            when x.u is not null then if(x.is_solicited, 1, 3)
            when x.sentiment01 is null then null
            when x.is_solicited and x.sentiment_validated then 2
            else 4
        end as rank
    from x_joined as x
    inner join o_experience as e on e.x_id = x.source || '/' || x.id
    inner join journey as j on x.j = j.j
),

chosen as (
    select * from told
    where rank is not null
    qualify rank = min(rank) over (partition by journey_id, seq)
),

by_step as (
    select
        journey_id,
        seq,
        rank <= 2 as is_asked,
        is_text,
        avg(u) as u,
        arg_max(is_top_box, place) as is_top_box
    from chosen
    group by all
),

whole as (
    select
        journey_id,
        arg_max(u, place) as u,
        arg_max(is_top_box, place) as is_top_box
    from told
    where scored_as = 'whole'
    group by journey_id
)

select
    b.journey_id,
    'step' as part,
    b.seq,
    b.u,
    b.is_top_box,
    b.is_asked,
    b.is_text
from by_step as b
union all
select
    journey_id,
    'whole' as part,
    null as seq,
    u,
    is_top_box,
    true as is_asked,
    false as is_text
from whole;

create or replace table o_journey_experience as
with
counted as (
    select
        j.journey_id,
        count(*) as n_records,
        count(*) filter (
            x.is_customer and x.is_solicited and x.invited_time is null and x.is_answered
        ) as n_uninvited,
        count(*) filter (
            x.is_customer and not x.is_solicited and x.invited_time is null and x.is_answered
        ) as n_unasked,
        count(*) filter (not x.is_customer and x.is_answered) as n_inside,
        count(*) filter (x.is_customer and x.instrument = 'empathy' and x.u is not null)
            as n_asked_understood,
        count(*) filter (x.is_customer and x.instrument = 'empathy' and x.u > 0.5)
            as n_understood
    from x_joined as x
    inner join journey as j on x.j = j.j
    group by j.journey_id
),

judged as (
    select
        journey_id,
        if(bool_or(is_action_logged), count(*) filter (is_ignored), null) as n_ignored,
        count(is_in_time) filter (respondent_type = 'customer') as n_invited,
        count(*) filter (respondent_type = 'customer' and is_in_time) as n_answered,
        count(*) filter (respondent_type = 'customer' and is_invited and is_in_time is null)
            as n_pending,
        bool_and(is_final) as is_final
    from o_experience
    where journey_id is not null
    group by journey_id
),

scores as (
    select
        journey_id,
        count(*) as n,
        count(*) filter (is_text) as n_texts,
        avg(u) as mean,
        min(u) as least,
        last(u order by part, seq) as u_last,
        last(is_top_box order by part, seq) as is_top_last,
        avg(u) filter (part = 'step') as step_mean,
        any_value(u) filter (part = 'whole') as whole
    from x_score
    where is_asked
    group by journey_id
),

curve as (
    select
        journey_id,
        count(*) as n,
        count(*) filter (not is_asked and not is_text) as n_unasked,
        count(*) filter (is_text) as n_texts,
        first(u order by seq) as u_first,
        max(u) as u_most,
        min(u) as u_least,
        last(u order by seq) as u_last,
        regr_slope(u, k) as slope
    from (
        select
            *,
            row_number() over (partition by journey_id order by seq) as k
        from x_score
        where part = 'step'
    ) as steps
    group by journey_id
),

felt as (
    select
        s.*,
        0.4 * (s.mean - (s.mean - s.least) * if(s.n > 2, b2.b / bn.b, 1))
        + 0.4 * s.u_last + 0.2 * s.mean as x
    from scores as s
    left join blom as bn on s.n = bn.n
    left join blom as b2 on b2.n = 2
),

components as (
    select
        j.*,
        f.x,
        j.state = 'closed' and f.x is not null and j.delivery01 is not null as has_health,
        -- greatest() passes over nulls, and an unknown outcome must stay unknown
        case when j.outcome01 is not null then 0.35 * (1 / greatest(j.outcome01, 0.1) - 1) end
            as lost_o,
        0.40 * (1 / greatest(j.delivery01, 0.1) - 1) as lost_d,
        0.25 * (1 / greatest(f.x, 0.1) - 1) as lost_x
    from o_journeys as j
    left join felt as f on j.journey_id = f.journey_id
),

healthy as (
    select
        journey_id,
        lost_o,
        lost_d,
        lost_x,
        coalesce(lost_o, 0) + lost_d + lost_x as lost,
        if(outcome01 is null, 0.65, 1.0) as w,
        100 * if(outcome01 is null, 0.65, 1.0)
        / (if(outcome01 is null, 0.65, 1.0) + coalesce(lost_o, 0) + lost_d + lost_x) as health,
        (
            if(outcome01 is null, 0, 0.35) + if(delivery01 is null, 0, 0.4)
            + if(x is null, 0, 0.25)
        )::double as health_coverage,
        has_health
    from components
)

select
    j.journey_id,
    j.customer_key,
    j.journey_type,
    j.owner,
    j.started_at,
    j.ended_at,
    j.state,
    j.outcome01,
    j.delivery01,
    j.friction_score,
    c.* exclude (journey_id, n_understood),
    d.n_ignored,
    d.n_invited,
    d.n_answered,
    d.n_pending,
    d.n_answered / nullif(d.n_invited, 0) as response_share,
    coalesce(f.n, 0) as n_scores,
    coalesce(f.n_texts, 0) as n_scores_texts,
    f.x as experience01,
    f.step_mean as touchpoint_score_mean,
    f.whole as journey_score,
    f.step_mean - f.whole as silo_gap,
    coalesce(e.n, 0) as n_emotions,
    coalesce(e.n_unasked, 0) as n_emotions_unasked,
    coalesce(e.n_texts, 0) as n_emotions_texts,
    e.n_texts / nullif(e.n, 0) as emotion_texts_share,
    e.u_first as emotion_first,
    e.u_most as emotion_peak,
    e.u_least as emotion_lowest,
    e.u_last as emotion_end,
    if(e.n > 1, e.slope, null) as emotion_slope,
    if(h.has_health, h.health, null) as health,
    h.health_coverage,
    case
        when not h.has_health then null
        when h.health >= 80 then 'good'
        when h.health >= 60 then 'fair'
        else 'poor'
    end as band,
    if(h.has_health and j.outcome01 is not null, coalesce(h.lost_o / nullif(h.lost, 0), 0), null)
        as lost_by_outcome,
    if(h.has_health, coalesce(h.lost_d / nullif(h.lost, 0), 0), null) as lost_by_delivery,
    if(h.has_health, coalesce(h.lost_x / nullif(h.lost, 0), 0), null) as lost_by_experience,
    case
        when not h.has_health or h.lost = 0 then null
        when coalesce(h.lost_o, 0) >= greatest(h.lost_d, h.lost_x) then 'outcome'
        when h.lost_d >= h.lost_x then 'delivery'
        else 'experience'
    end as limiting_component,
    case when h.has_health then 100 * h.w / (
        h.w + coalesce(h.lost_o, 0)
        + 0.40 * (1 / greatest(1 - j.friction_score_hi / 100, 0.1) - 1) + h.lost_x
    ) end as health_lo,
    case when h.has_health then 100 * h.w / (
        h.w + coalesce(h.lost_o, 0)
        + 0.40 * (1 / greatest(1 - j.friction_score_lo / 100, 0.1) - 1) + h.lost_x
    ) end as health_hi,
    case
        when f.is_top_last is not null and j.friction_score is not null
            then f.is_top_last and j.friction_score >= s.relief_friction
    end as is_relief,
    c.n_understood / nullif(c.n_asked_understood, 0) as empathy_share,
    j.is_final and d.is_final as is_final
from counted as c
inner join o_journeys as j on c.journey_id = j.journey_id
inner join judged as d on c.journey_id = d.journey_id
inner join healthy as h on c.journey_id = h.journey_id
cross join settings as s
left join felt as f on c.journey_id = f.journey_id
left join curve as e on c.journey_id = e.journey_id;
