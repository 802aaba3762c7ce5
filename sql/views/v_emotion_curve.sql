-- purpose: the emotional track of each journey: what was felt at its steps, in their order
-- grain: step with an answer or a text of the customer
-- key: journey_id, step_id
-- sources: v_steps, v_experience
create or replace view v_emotion_curve as
with answers as (
    select
        journey_id,
        step_id,
        coalesce(score01, sentiment01) as emotion01,
        scored_as is not null as is_asked,
        score01 is null as is_text,
        -- scores go before texts, and what was asked before what was not
        case when scored_as is not null then 1 when score01 is not null then 2 else 3 end as place
    from v_experience
    where
        respondent_type = 'customer' and level = 'touchpoint'
        and step_id is not null and coalesce(score01, sentiment01) is not null
),

first_answers as (
    select
        *,
        min(place) over (partition by journey_id, step_id) as first_place
    from answers
),

felt as (
    select
        journey_id,
        step_id,
        avg(emotion01) filter (place = first_place) as emotion01,
        bool_or(is_asked) as is_asked,
        bool_and(is_text) filter (place = first_place) as is_text,
        count(*) as n_answers
    from first_answers
    group by journey_id, step_id
),

placed as (
    select
        steps.journey_id,
        steps.step_id,
        steps.seq,
        row_number() over (partition by steps.journey_id order by steps.seq) as place,
        steps.started_at,
        steps.stage,
        steps.touchpoint,
        steps.owner,
        felt.emotion01,
        felt.emotion01 - lag(felt.emotion01) over (
            partition by steps.journey_id order by steps.seq
        ) as emotion_change,
        felt.is_asked,
        felt.is_text,
        felt.n_answers,
        steps.friction
    from felt
    inner join v_steps as steps
        on felt.journey_id = steps.journey_id and felt.step_id = steps.step_id
)

select * from placed;

comment on column v_emotion_curve.place is 'Place among these steps, from 1.';
comment on column v_emotion_curve.emotion01 is
'Mean of the solicited answers, else of scores given unasked, else sentiment of texts [0 to 1].';
comment on column v_emotion_curve.emotion_change is 'Change since the answer before; null: first.';
comment on column v_emotion_curve.is_asked is 'The company asked; false: said unasked only.';
comment on column v_emotion_curve.is_text is 'No score was given: the sentiment of texts.';
comment on column v_emotion_curve.n_answers is 'Answers and texts about the step.';
