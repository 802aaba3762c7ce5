-- purpose: joins run as they are written, the many rows first: where rows lie side by side
--          (positional joins) their number is not known to what turns joins round
-- grain:   a setting
-- key:     none
-- sources: none
set disabled_optimizers = 'join_order,build_side_probe_side';
