-- purpose: what each test of the score compares friction with, and which kinds it leaves out
-- grain: test of the score
-- note: Kinds are left out lest they prove themselves; v_kinds has the reasons.
-- key: test
-- sources: v_kinds
create or replace view v_validity_tests as
with tests as (
    select unnest(['bad_end', 'repeat_contact', 'ces', 'experience']) as test
),

circles as (
    select
        kind,
        unnest(circular_with) as test
    from v_kinds
),

listed as (
    select
        test,
        list(kind order by kind) as kinds
    from circles
    group by test
),

counted as (
    select
        tests.test,
        coalesce(listed.kinds, []) as left_out
    from tests
    left join listed on tests.test = listed.test
)

select * from counted;

comment on column v_validity_tests.test is
'bad_end: outcome below one half; repeat_contact: a first contact repeated; ces: answers on effort;
experience: X.';
comment on column v_validity_tests.left_out is
'Kinds that what is compared makes or unmakes by rule, left out lest they prove themselves (list,
v_kinds has why); empty: all are in the test.';
