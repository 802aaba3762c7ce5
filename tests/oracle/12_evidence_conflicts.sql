-- purpose: pieces of friction of words that do not agree: info_conflict, contradiction
-- grain:   one row per piece
-- key:     step, kind, detail
-- sources: field_use, stepped
insert into piece by name
with
given as (
    select
        u.*,
        n.need_product,
        n.need_objects
    from field_use as u
    inner join stepped as e on u.j = e.j and u.pos = e.pos
    inner join numbered as n on e.place = n.place
    where
        u.op = 'given' and u.basis = 0 and u.value_hmac is not null
        -- who gives one answer only contradicts no other
        and (u.j, u.field) in (
            select (v.j, v.field) from field_use as v
            where v.op = 'given' and v.basis = 0 and v.value_hmac is not null
            group by v.j, v.field
            having min(v.value_hmac) <> max(v.value_hmac)
        )
),

-- the last answer before that is not known to be for another product or order
compared as (
    select
        g.j,
        g.step,
        g.pos,
        g.t,
        g.field,
        g.value_hmac,
        arg_max(b.value_hmac, b.pos) as last_value,
        arg_max(b.step, b.pos) as last_step
    from given as g
    inner join given as b
        on
            g.j = b.j and g.field = b.field and g.pos > b.pos
            and not coalesce(is_other(
                g.need_objects, b.need_objects, g.need_product,
                if(b.need_product is null, [], [b.need_product])
            ), false)
    group by all
)

select
    j,
    step,
    last_step as prev_step,
    'info_conflict' as kind,
    t as occurred_t,
    1.0 as x,
    1.0 as g,
    1.0 as confidence,
    'observed' as basis,
    format('{:09d}', pos) || field as detail
from compared
where value_hmac <> last_value and step <> last_step;

insert into piece by name
with
listed as (
    select
        customer,
        j,
        step,
        place,
        t,
        time,
        promise,
        unnest(claims) as claim,
        generate_subscripts(claims, 1) as claim_no
    from stepped
    where claims is not null and actor_type <> 'customer'
),

claimed as (
    -- of several claims of one event on one topic the first
    select
        listed.*,
        listed.claim.topic as about,
        listed.claim.value_hmac as said,
        listed.claim.valid_to as holds_to,
        coalesce(listed.promise.op = 'moved', false) as is_move
    from listed
    where listed.claim.topic is not null and listed.claim.value_hmac is not null
    qualify row_number() over (
        partition by listed.place, listed.claim.topic order by listed.claim_no
    ) = 1
),

followed as (
    select
        *,
        lag(said) over topics as said_before,
        lag(holds_to) over topics as valid_before,
        lag(step) over topics as step_before
    from claimed
    window topics as (partition by customer, about order by place)
)

select
    j,
    step,
    if(step_before = step, null, step_before) as prev_step,
    'contradiction' as kind,
    t as occurred_t,
    1.0 as x,
    1.0 as g,
    1.0 as confidence,
    'observed' as basis,
    format('{:09d}', place) || about as detail
from followed
where said <> said_before and coalesce(time < valid_before, true) and not is_move;

-- nothing below looks at needs
drop table numbered;
