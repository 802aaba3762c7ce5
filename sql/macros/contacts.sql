-- purpose: which contact is a first one, and what settles it: who was informed got what he came for
-- grain: macros over the contact before, or over a contact's last outcome (null where unknown)
-- sources:
create or replace macro is_settled(outcome) as outcome in ('resolved', 'sold', 'informed');

create or replace macro is_first_contact(
    is_comparable, started_at, earlier_at, span, begun_at
) as coalesce(
    is_comparable and started_at - span >= begun_at
    and coalesce(started_at - earlier_at > span, true), false
);
