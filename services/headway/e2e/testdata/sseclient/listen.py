"""Reads a stream with sseclient-py and prints each event as one line of JSON."""

import json
import sys
import urllib.request

import sseclient

url, last_id = sys.argv[1:]
headers = {"Accept": "text/event-stream"}
if last_id:
    headers["Last-Event-ID"] = last_id
with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as response:
    for event in sseclient.SSEClient(response).events():
        print(json.dumps({"id": event.id, "event": event.event, "data": event.data}), flush=True)
