-- purpose: what keeps the tests of the score honest: no figure from few, none without its chance
-- grain: macros over counts, over an area and its variance, over a z; null where not enough
-- sources:
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

-- Chance of a normal deviate as far from 0 as z, on either side (Hart 1968, as West 2005 gives it;
-- to 1e-14): DuckDB has no error function.
create or replace macro normal_tail(x) as case
    when x < 7.07106781186547
        then
            exp(-x * x / 2)
            * ((((
                ((3.52624965998911e-02 * x + 0.700383064443688) * x + 6.37396220353165) * x
                + 33.912866078383
            ) * x + 112.079291497871) * x + 221.213596169931) * x
            + 220.206867912376)
            / (((((
                ((8.83883476483184e-02 * x + 1.75566716318264) * x + 16.064177579207) * x
                + 86.7807322029461
            ) * x + 296.564248779674) * x + 637.333633378831) * x
            + 793.826512519948) * x + 440.413735824752)
    else
        exp(-x * x / 2)
        / (x + 1 / (x + 2 / (x + 3 / (x + 4 / (x + 0.65)))))
        / 2.506628274631
end;

create or replace macro two_sided(z) as case
    when z is not null then least(1, 2 * normal_tail(abs(z)))
end;
