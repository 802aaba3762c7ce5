-- purpose: what keeps the tests of the score honest: no kind may prove itself, no figure from few
-- grain: macros over a kind, over counts, over an area and its variance; null where not enough
-- sources:
-- These arise only from an outcome that may itself be the end, or from what takes the end away:
-- that such journeys end badly is so by definition and proves nothing about the score.
create or replace macro is_of_outcome(kind) as
kind in ('abandonment', 'dead_end', 'reopened', 'self_rescue');

-- A dead end is one because of the contact that follows: it cannot foretell that one follows.
create or replace macro is_of_next_contact(kind) as kind = 'dead_end';

-- Ten of each side: below that an area or a slope is a rumour.
create or replace macro is_two_sided(n_hits, n_others) as n_hits >= 10 and n_others >= 10;

-- An area's interval on the logit scale stays within 0 and 1; of a perfect one there is none.
create or replace macro area_lo(area, variance) as case
    when area > 0 and area < 1 and variance > 0
        then 1 / (1 + exp(
            1.959963984540054 * sqrt(variance) / (area * (1 - area)) - ln(area / (1 - area))
        ))
end;

create or replace macro area_hi(area, variance) as 1 - area_lo(1 - area, variance);
