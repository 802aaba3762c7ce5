"""Worked examples: `rejse` called every hour by cron, by systemd and by Airflow.

All three look at the exit code only: 0 published, or nothing new; 1 the data failed and somebody
must look; 2 the call is wrong; 75 another run is at work, whose work this one would have done.
"""
