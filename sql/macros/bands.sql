-- purpose: the band of a health, good from 80, fair from 60, poor below
-- grain: macros over one value; null stays null
-- sources:
create or replace macro health_band(health) as case
    when health >= 80 then 'good'
    when health >= 60 then 'fair'
    when health < 60 then 'poor'
end;
