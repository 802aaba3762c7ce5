-- purpose: texts of a publication by language: how many have a sentiment; none where nothing scores
--          the language
-- question: In which languages do people write, and which of them are measured?
-- grain: language (null: not logged)
-- key: language
-- sources: v_experience
with answers as (
    select * from v_experience
),

languages as (
    select
        language,
        count(*) as n_texts,
        count(sentiment01) as n_scored,
        round(100 * count(sentiment01) / count(*)) as scored_percent
    from answers
    where has_text
    group by language
)

select * from languages
order by n_texts desc, language asc
