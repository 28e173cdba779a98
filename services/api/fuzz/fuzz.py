"""Fuzz a running API with requests made from its own description.

usage: fuzz.py HEADWAY [CASES]    HEADWAY: the binary; CASES: at most this many of each route and phase

The streams are left out: an answer without an end is nothing that the fuzzer can read. Their events are held
against the same description in the tests of services/api.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance,unsupported_method,allow_header_conformance"


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def batches(api, want=5, patience=30):
    """Ids of batches that the demo workload has begun."""
    end = time.monotonic() + patience
    while True:
        ids = [row["batch_id"] for row in get(api + "/v1/batches")["batches"]]
        if len(ids) >= want:
            return ids
        if time.monotonic() > end:
            sys.exit(f"after {patience} s there are {len(ids)} batches, {want} are wanted")
        time.sleep(0.1)


def main(headway, cases="250"):
    with tempfile.TemporaryDirectory() as folder:
        run = [headway, "run", "--demo", "--listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0", "--data-dir", folder + "/data"]
        server = subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            api = re.match(r"ready api=(\S+)", server.stdout.readline())[1]
            document = get(api + "/openapi.json")
            # Random ids alone would only ever find no batch.
            parameter = document["components"]["parameters"]["batch_id"]
            parameter["schema"] = {"anyOf": [{"enum": batches(api)}, parameter["schema"]]}
            described = Path(folder, "openapi.json")
            described.write_text(json.dumps(document))
            tool = str(Path(sys.executable).with_name("schemathesis"))
            command = [tool, "run", str(described), "--url", api, "-c", CHECKS, "-n", cases, "--exclude-path-regex", "stream$"]
            code = subprocess.call(command + ["--continue-on-failure", "--request-timeout", "10"], cwd=folder)
            if server.poll() is not None:
                sys.exit(f"the server ended with {server.returncode}")
            sys.exit(code)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
