-- purpose: which promises are kept, by kind and by who owes them; an open claim is judged by the
-- checks of the configuration, and of several that disagree on it broken wins
-- grain: kind of promise and owner
-- key: kind, owner
-- sources: v_promises, v_promise_checks
create or replace view v_promises_kept as
with promises as (
    select * from v_promises
),

checks as (
    select * from v_promise_checks
),

verdicts as (
    select
        customer_key,
        promise_id,
        if(bool_or(status = 'broken'), 'broken', 'kept') as verdict
    from checks
    group by customer_key, promise_id
),

judged as (
    select
        promises.* exclude (status),
        coalesce(verdicts.verdict, promises.status) as status,
        verdicts.verdict is not null as is_checked
    from promises
    left join verdicts
        on
            promises.customer_key = verdicts.customer_key
            and promises.promise_id = verdicts.promise_id
            and promises.kind = 'claim'
            and promises.status = 'open'
),

counted as (
    select
        kind,
        owner,
        count(*) as n_promises,
        count(*) filter (status = 'kept') as n_kept,
        count(*) filter (status = 'late' and delivered_at is not null) as n_late,
        count(*) filter (status = 'late' and delivered_at is null) as n_overdue,
        count(*) filter (status = 'broken') as n_broken,
        count(*) filter (status = 'open') as n_open,
        count(*) filter (status = 'cancelled') as n_cancelled,
        count(*) filter (status in ('kept', 'late', 'broken')) as n_judged,
        count(*) filter (is_checked) as n_checked,
        count(*) filter (n_moves > 0) as n_moved,
        median(lateness_s) filter (status = 'late') as lateness_s_median
    from judged
    group by kind, owner
),

rated as (
    select
        *,
        share_of(n_kept, n_judged) as kept_share,
        wilson_lo(n_kept, n_judged) as kept_share_lo,
        wilson_hi(n_kept, n_judged) as kept_share_hi
    from counted
)

select * from rated;

comment on column v_promises_kept.n_promises is 'Promises made.';
comment on column v_promises_kept.n_kept is 'Kept in time.';
comment on column v_promises_kept.n_late is 'Delivered late.';
comment on column v_promises_kept.n_overdue is
'Due and not delivered yet, their give-up still to come; promises.status says late of them, too.';
comment on column v_promises_kept.n_broken is 'Not delivered.';
comment on column v_promises_kept.n_open is 'Not due yet, or unknown: no check judges it.';
comment on column v_promises_kept.n_cancelled is 'Cancelled by the customer in time.';
comment on column v_promises_kept.n_judged is
'Kept, late, overdue or broken: those that can be judged.';
comment on column v_promises_kept.n_checked is
'Open by the events and judged by a check of the configuration; among n_kept or n_broken.';
comment on column v_promises_kept.n_moved is 'Moved at least once.';
comment on column v_promises_kept.lateness_s_median is
'Median lateness of those delivered late; null: none was [s].';
comment on column v_promises_kept.kept_share is
'Share kept among those judged; null: none counted.';
