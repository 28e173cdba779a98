"""Reads a stream with one of several readers and prints each event as one line of JSON."""

import asyncio
import json
import sys
import urllib.request

reader, url, last_id = sys.argv[1:]
headers = {"Accept": "text/event-stream"}
if last_id:
    headers["Last-Event-ID"] = last_id


def heard(event_id: str, event: str, data: str) -> None:
    print(json.dumps({"id": event_id, "event": event, "data": data}), flush=True)


def sseclient_py() -> None:
    import sseclient

    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as response:
        for e in sseclient.SSEClient(response).events():
            heard(e.id, e.event, e.data)


def httpx_sse() -> None:
    import httpx
    import httpx_sse

    with (
        httpx.Client(timeout=None) as client,
        httpx_sse.connect_sse(client, "GET", url, headers=headers) as source,
    ):
        if source.response.status_code != 204:
            for e in source.iter_sse():
                heard(e.id, e.event, e.data)


async def aiohttp_sse_client() -> None:
    import aiohttp
    from aiohttp_sse_client.client import EventSource

    # It doesn't stop at the end of a stream by itself: it is left at the event that says so.
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
        try:
            async with EventSource(url, session=session, headers=headers) as source:
                async for e in source:
                    heard(e.last_event_id, e.type, e.data)
                    if e.type == "end":
                        return
        except ConnectionAbortedError as e:
            if "204" not in str(e):
                raise


match reader:
    case "sseclient-py":
        sseclient_py()
    case "httpx-sse":
        httpx_sse()
    case "aiohttp-sse-client":
        asyncio.run(aiohttp_sse_client())
