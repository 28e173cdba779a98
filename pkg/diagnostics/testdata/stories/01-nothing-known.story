# Only a collection was ever named: nobody said a status, so nothing is known of the batch.
12:00 collection.col_a "collection_name":"Films","document_count":3
? 12:01 ok progress status=UNKNOWN eta=none actions=
