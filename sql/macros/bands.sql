-- purpose: the band of a health, good from 80, fair from 60, poor below; of a median of n journeys
--          only where they are enough: of fewer than five it says nothing of the others
-- grain: macros over one value; null stays null
-- sources:
create or replace macro health_band(health) as case
    when health >= 80 then 'good'
    when health >= 60 then 'fair'
    when health < 60 then 'poor'
end;

create or replace macro median_band(health, n) as case
    when n >= 5 then health_band(health)
end;
