"""Read every golden answer with the published client of the compatible API.

The client is generated from that API's own document and strict: an integer must be an integer, a time must
parse. What it reads is compared with what was written, so that nothing is dropped on the way.
"""

import glob
import json
import sys
from datetime import datetime

from mixpeek.models.batch_diagnostics import BatchDiagnostics


def same(read, written, path):
    """The fields that the client knows have the values that were written."""
    if isinstance(read, datetime):
        if read != datetime.fromisoformat(written.replace("Z", "+00:00")):
            yield f"{path}: read {read}, written {written}"
    elif isinstance(read, dict):
        for key, value in read.items():
            yield from same(value, written[key], f"{path}.{key}")
    elif isinstance(read, list):
        if len(read) != len(written):
            yield f"{path}: read {len(read)} elements, written {len(written)}"
        for i, value in enumerate(read):
            yield from same(value, written[i], f"{path}[{i}]")
    elif read != written:
        yield f"{path}: read {read!r}, written {written!r}"


def main(folder):
    answers, wrong = 0, []
    for file in sorted(glob.glob(folder + "/*.golden.json")):
        with open(file, encoding="utf-8") as f:
            for told in json.load(f):
                answer = told["answer"]
                where = f"{file}: {told['ask']}"
                try:
                    read = BatchDiagnostics.from_dict(answer).to_dict()
                    wrong += [f"{where}: {w}" for w in same(read, answer, "")]
                except Exception as e:  # whatever the client can't take
                    wrong.append(f"{where}: {e}")
                answers += 1
    for w in wrong:
        print(w)
    print(f"{answers} answers read, {len(wrong)} wrong")
    return 1 if wrong or not answers else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
