-- Purpose: what the survey tool exports. Grain: one question put to one person (a complaint: one
-- letter). Sources: `asked` (which question after which event, and the answer), `questions`,
-- `specs`, `touchpoints`.
-- A question about a place names the entry of the call log or the visit it was sent for, else only
-- the place; one about the whole names the case, or the kind of journey.
select
    questions.question || '-' || asked.event as answer_no,
    'C' || asked.customer as customer_no,
    strftime(asked.asked_at, '%Y-%m-%d %H:%M:%S') as asked_at,
    strftime(asked.answered_at, '%Y-%m-%d %H:%M:%S') as answered_at,
    questions.who,
    questions.instrument as question,
    questions.level as about,
    case when questions.level = 'touchpoint' then specs.touchpoint end as place,
    case when questions.level = 'journey' then specs.case_prefix || '-' || asked.journey end
        as case_no,
    questions.lowest,
    questions.highest,
    asked.points,
    strftime(asked.acted_at, '%Y-%m-%d %H:%M:%S') as acted_at,
    case
        when questions.level = 'touchpoint' and touchpoints.system = 'contact_centre'
            then 'contact_centre/k' || asked.event
    end as entry,
    case
        when questions.level = 'touchpoint' and touchpoints.system = 'web'
            then 'V' || asked.journey || '-' || epoch_ms(asked.event_at) // 86400000
    end as visit,
    case when questions.level != 'touchpoint' then specs.journey_type end as flow,
    questions.question as survey,
    null::varchar as words,
    null::varchar as language
from asked
inner join questions on asked.question = questions.number
inner join specs on asked.spec = specs.spec
inner join touchpoints on specs.touchpoint = touchpoints.touchpoint
order by asked.asked_at, answer_no
