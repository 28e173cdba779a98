"""Takes secrets out of texts that are sent: messages of exceptions quote URLs, headers and settings.

The rules are those of the relay, which treats messages of Ray and Kubernetes in the same way
(services/relay/machine/redact.go, where the sources are). A test holds both lists against each other, and both against the
same cases.
"""

from __future__ import annotations

import re
from functools import lru_cache

# A value up to its closing quote, or without quotes up to the next white space.
VALUE = r"""(?:\[redacted\]|\\+"[^"\\]+\\+"|"(?:[^"\\]|\\.)+"|'(?:[^'\\]|\\.)+'|\\*["']?[^\s"']{3,})()"""

PATTERNS = (
    r"""(://)[^/\s:@]*:[^/\s]+(@)""",
    r"""(?i)(bearer\s+)[A-Za-z0-9._~+/=-]{8,}()""",
    r"""\b([Bb]asic\s+|BASIC\s+)(?:[A-Za-z]*[0-9+/=]|[A-Z]*[a-z]+[A-Z])[A-Za-z0-9+/=]{4,}()""",
    r"""()\b(?:AKIA|ASIA)[A-Z0-9]{16}\b()""",
    r"""()\b(?:ghp|gho|ghs|ghr|github_pat|xox[abprs]|hf|sk)[_-][A-Za-z0-9_-]{16,}()""",
    r"""()\bhw_[A-Za-z0-9]{12}_[A-Za-z0-9]{30,}()""",
    r"""()\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?()""",
    r"""(?s)(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END|$)""",
    r"""(?i)((?:x-(?:amz|goog)-signature|[?&;](?:signature|sig))=)[^\s"'&]{3,}()""",
    r"""(?i)(\b[a-z0-9_.-]{0,64}(?:(?:password|passwd|secret|api[_-]?key|access_?key|private_?key|credential)s?|token)\\*["']?\s*[=:]\s*)"""
    + VALUE,
    r"""((?:\b[A-Z0-9_]{0,64}KEY|AccountKey|SharedAccessKey)\\*["']?\s*[=:]\s*)""" + VALUE,
    r"""(^|[^A-Za-z0-9._%+/-])[A-Za-z0-9._%+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}\b()""",
)
SECRETS = tuple(re.compile(pattern, re.ASCII) for pattern in PATTERNS)


@lru_cache(maxsize=128)  # thousands of documents may fail with one message
def redact(text: str) -> str:
    for secret in SECRETS:
        text = secret.sub(r"\1[redacted]\2", text)
    return text
