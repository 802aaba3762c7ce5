-- purpose: rates with their interval at 95 %: never a rate without n and its uncertainty
-- grain: macros over counts (k of n; p for and d against of n) or a deviation; null where n is 0
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
    when n > 0 and k = 0 then 0.0::double
    when n > 0 then greatest(0, wilson_centre(k, n) - wilson_half(k, n))
end;

create or replace macro wilson_hi(k, n) as case
    when n > 0 and k = n then 1.0::double
    when n > 0 then least(1, wilson_centre(k, n) + wilson_half(k, n))
end;

create or replace macro mean_half(deviation, n) as case
    when n > 1 then 1.959963984540054 * deviation / sqrt(n)
end;

create or replace macro net_of(p, d, n) as case when n > 0 then 100 * (p - d) / n::double end;

create or replace macro net_variance(p, d, n) as case
    when n > 0 then pow(100, 2) * ((p + d) / n::double - pow((p - d) / n::double, 2)) / n
end;

-- Where all answered alike the normal interval has no width; the share that did so has Wilson's,
-- and the rest may have answered the worst, or the best.
create or replace macro net_lo(p, d, n) as case
    when net_variance(p, d, n) > 0
        then greatest(-100, net_of(p, d, n) - 1.959963984540054 * sqrt(net_variance(p, d, n)))
    else net_of(p, d, n) - (100 + net_of(p, d, n)) * (1 - wilson_lo(n, n))
end;

create or replace macro net_hi(p, d, n) as case
    when net_variance(p, d, n) > 0
        then least(100, net_of(p, d, n) + 1.959963984540054 * sqrt(net_variance(p, d, n)))
    else net_of(p, d, n) + (100 - net_of(p, d, n)) * (1 - wilson_lo(n, n))
end;
