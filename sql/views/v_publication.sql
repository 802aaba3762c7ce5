-- purpose: the newest publication's clock: what is complete, the windows of rates, thresholds
-- grain: publication; only the newest
-- key: publication
-- sources: publications
create or replace view v_publication as
with newest as (
    select
        publication,
        run_id,
        config_version,
        published_at,
        list_min(map_values(frontiers)) as complete_until_at,
        x_frontiers,
        to_microseconds(coalesce(windows['repeat'], 604800000000)) as repeat_window,
        coalesce(windows['short_abandon'], 10000000) / 1e6 as short_abandon_s,
        to_microseconds(coalesce(windows['survey'], 1209600000000)) as survey_window,
        to_microseconds(coalesce(windows['follow_up'], 7776000000000)) as follow_up_window,
        to_microseconds(coalesce(windows['ignored'], 604800000000)) as ignored_window,
        to_microseconds(coalesce(windows['lateness'], 86400000000)) as lateness,
        coalesce(thresholds['csat.scale_min'], 1) as csat_scale_min,
        coalesce(thresholds['csat.scale_max'], 5) as csat_scale_max,
        coalesce(thresholds['csat.satisfied_from'], 4) as csat_satisfied_from
    from publications
    order by publication desc
    limit 1
)

select * from newest;

comment on column v_publication.complete_until_at is 'All sources are complete up to here [UTC].';
comment on column v_publication.repeat_window is
'Window W of repeat contacts and first contact resolution (interval).';
comment on column v_publication.short_abandon_s is
'Who hangs up sooner has abandoned nothing [s].';
comment on column v_publication.survey_window is
'An invitation may be answered so long (interval).';
comment on column v_publication.follow_up_window is
'How long what comes next is looked for after a journey (interval).';
comment on column v_publication.ignored_window is
'A complaint or low answer that is acted on later is ignored (interval).';
comment on column v_publication.lateness is
'How late an event may arrive: a window has passed only so long after its end (interval).';
comment on column v_publication.csat_scale_min is 'Least answer of the scale of CSAT [points].';
comment on column v_publication.csat_scale_max is 'Greatest answer of the scale of CSAT [points].';
comment on column v_publication.csat_satisfied_from is 'Who answers so much is satisfied [points].';
