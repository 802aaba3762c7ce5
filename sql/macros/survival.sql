-- purpose: what counts as resolved, and the interval of a survival curve (Kaplan-Meier)
-- grain: macros over a journey's outcome and how it is known (an assumed one decides nothing), or
-- over a survival and the sum of Greenwood's terms
-- sources:
create or replace macro is_resolved(outcome01, basis) as
coalesce(outcome01 = 1 and basis is distinct from 'assumed', false);

create or replace macro is_decided(outcome01, basis) as
coalesce(outcome01 is not null and basis is distinct from 'assumed', false);

-- On the log-log scale, so that the interval stays within 0 and 1; at 0 and 1 there is none.
create or replace macro survival_at(survival, greenwood, z) as case
    when survival > 0 and survival < 1 and greenwood > 0
        then pow(survival, exp(-z * sqrt(greenwood) / ln(survival)))
end;

create or replace macro survival_lo(survival, greenwood) as
survival_at(survival, greenwood, 1.959963984540054);

create or replace macro survival_hi(survival, greenwood) as
survival_at(survival, greenwood, -1.959963984540054);
