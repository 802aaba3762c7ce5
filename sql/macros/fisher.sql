-- purpose: a two by two table: how likely it is by chance (hypergeometric), and its odds ratio
-- grain: macros over counts: k of a group of n own it, of m in all of whom r own it
-- sources:
create or replace macro ln_choose(n, k) as
lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0);

create or replace macro ln_hypergeometric(k, n, r, m) as
ln_choose(r, k) + ln_choose(m - r, n - k) - ln_choose(m, n);

-- Odds ratio of owning it, + 1/2 where a cell is 0 (Haldane, Anscombe), so that it stays finite.
create or replace macro odds_plus(k, n, r, m) as case
    when least(k, n - k, r - k, m - n - r + k) = 0 then 0.5 else 0
end;

create or replace macro odds_of(k, n, r, m) as case
    when n > 0 and n < m and r > 0 and r < m
        then
            (k + odds_plus(k, n, r, m)) * (m - n - r + k + odds_plus(k, n, r, m))
            / ((n - k + odds_plus(k, n, r, m)) * (r - k + odds_plus(k, n, r, m)))
end;

create or replace macro odds_half(k, n, r, m) as 1.959963984540054 * sqrt(
    1 / (k + odds_plus(k, n, r, m)) + 1 / (n - k + odds_plus(k, n, r, m))
    + 1 / (r - k + odds_plus(k, n, r, m)) + 1 / (m - n - r + k + odds_plus(k, n, r, m))
);

create or replace macro odds_lo(k, n, r, m) as
odds_of(k, n, r, m) * exp(-odds_half(k, n, r, m));

create or replace macro odds_hi(k, n, r, m) as
odds_of(k, n, r, m) * exp(odds_half(k, n, r, m));
