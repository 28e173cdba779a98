# More was processed than the total says: clamped, and said.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:00:10 tier.0.progress "processed_documents":5,"total_documents":5
? 12:00:15 ok progress -overtaken progress=99.99
12:01:10 tier.0.progress "processed_documents":241,"total_documents":5
? 12:01:20 ok progress +overtaken progress=99.99
