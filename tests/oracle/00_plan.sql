-- purpose: joins run as they are written, the many rows first: rows that lie side by side (positional
--          joins) are taken for none by what else would turn joins round
-- grain:   a setting
-- key:     none
-- sources: none
set disabled_optimizers = 'join_order,build_side_probe_side';
