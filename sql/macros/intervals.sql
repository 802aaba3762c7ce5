-- purpose: shares with their Wilson interval at 95 %: never a rate without n and its uncertainty
-- grain: macros over a numerator k and a denominator n; null where n is 0
-- sources:
create or replace macro share_of(k, n) as case when n > 0 then k / n::double end;

create or replace macro wilson_half(k, n) as (
    1.959963984540054
    * sqrt(share_of(k, n) * (1 - share_of(k, n)) / n + pow(1.959963984540054, 2) / (4 * n * n))
    / (1 + pow(1.959963984540054, 2) / n)
);

create or replace macro wilson_centre(k, n) as (
    (share_of(k, n) + pow(1.959963984540054, 2) / (2 * n)) / (1 + pow(1.959963984540054, 2) / n)
);

create or replace macro wilson_lo(k, n) as case
    when n > 0 then greatest(0, wilson_centre(k, n) - wilson_half(k, n))
end;

create or replace macro wilson_hi(k, n) as case
    when n > 0 then least(1, wilson_centre(k, n) + wilson_half(k, n))
end;
