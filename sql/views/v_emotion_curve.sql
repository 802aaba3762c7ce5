-- purpose: the emotional track of each journey: what was felt at its steps, in their order
-- grain: step with an answer of the customer
-- key: journey_id, step_id
-- sources: v_experience, v_steps
create or replace view v_emotion_curve as
with answers as (
    select
        *,
        coalesce(scored_as = 'step', false) as is_asked
    from v_experience
    where
        respondent_type = 'customer' and level = 'touchpoint'
        and step_id is not null and score01 is not null
),

felt as (
    select
        journey_id,
        step_id,
        coalesce(avg(score01) filter (is_asked), avg(score01)) as emotion01,
        bool_or(is_asked) as is_asked,
        count(*) as n_answers
    from answers
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
        felt.n_answers,
        steps.friction
    from felt
    inner join v_steps as steps
        on felt.journey_id = steps.journey_id and felt.step_id = steps.step_id
)

select * from placed;

comment on view v_emotion_curve is
'One row per step with an answer of the customer; steps without one are not invented.';
comment on column v_emotion_curve.journey_id is 'Journey.';
comment on column v_emotion_curve.step_id is 'Step.';
comment on column v_emotion_curve.seq is 'Place of the step in its journey, from 1.';
comment on column v_emotion_curve.place is 'Place among the steps with an answer, from 1.';
comment on column v_emotion_curve.started_at is 'Start of the step [UTC].';
comment on column v_emotion_curve.stage is 'Before, during or after the service.';
comment on column v_emotion_curve.touchpoint is 'Touchpoint of the step.';
comment on column v_emotion_curve.owner is 'Owner of the step.';
comment on column v_emotion_curve.emotion01 is
'Mean of the solicited answers, else of what was said unasked, from 0 to 1.';
comment on column v_emotion_curve.emotion_change is 'Change since the answer before; null: first.';
comment on column v_emotion_curve.is_asked is 'The company asked; false: said unasked only.';
comment on column v_emotion_curve.n_answers is 'Answers about the step.';
comment on column v_emotion_curve.friction is 'Friction of the step [points of 100].';
