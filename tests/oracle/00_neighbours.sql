-- purpose: what lies before a row among rows that already lie in order: these windows stream, and
--          nothing is sorted again
-- grain:   macros
-- key:     none
-- sources: any rows in order
-- noqa: disable=PRS
create or replace macro running_sum(x) as
(sum(x) over (rows between unbounded preceding and current row))::bigint;
create or replace macro running_max(x) as
max(x) over (rows between unbounded preceding and current row);
create or replace macro changed(x) as
x is distinct from lag(x) over ();
