# Ten documents a second at first, two at last: something throttles.
12:00:00 batch "status":"PROCESSING","total_tiers":1
12:00:10..12:05:00/10s tier.0.progress "processed_documents":100..3000,"total_documents":9000
? 12:05:05 ok progress -slowing
12:05:10..12:15:00/10s tier.0.progress "processed_documents":3020..4200
? 12:15:05 ok progress +slowing
