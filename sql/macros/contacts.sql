-- purpose: which contact is a first one, what settles it (who was informed got what he came for),
--          and in which channels customers queue, or meet a machine instead of a human
-- grain: macros over the contact before, a contact's last outcome (null: unknown) or its family
-- sources:
create or replace macro is_settled(outcome) as outcome in ('resolved', 'sold', 'informed');

-- Who was informed or has bought takes the next step; who was told that it is resolved comes back.
create or replace macro is_helped(outcome) as outcome in ('sold', 'informed');

create or replace macro is_first_contact(
    is_comparable, started_at, earlier_at, span, begun_at
) as coalesce(
    is_comparable and started_at - span >= begun_at
    and coalesce(started_at - earlier_at > span, true), false
);

create or replace macro has_queue(channel_family) as coalesce(
    channel_family in ('voice', 'chat'), false
);
