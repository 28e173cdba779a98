# Nothing at all was heard any more after ten minutes: the driver, or the relay of its events, is gone.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:00:00 job.raysubmit_a "tier_num":0,"status":"RUNNING","started_at":"@12:00:00","dashboard_url":"javascript:alert(1)"
12:00:10..12:10:00/10s tier.0.progress "processed_documents":10..600,"total_documents":1000
? 12:41:00 stuck no_progress actions=logs,stop
