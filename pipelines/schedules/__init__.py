"""Worked examples: `rejse` called every hour by cron, by systemd and by Airflow.

All three look at the exit code only: 0 published, or nothing new; 1 the data failed, look at it; 2
the call is wrong; 75 another run holds the store, and does the work of this one.
"""
