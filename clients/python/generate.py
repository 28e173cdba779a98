"""Writes headway/answers.py: the API's answers as types, made from what the API says of itself.

python3 generate.py            # writes it
python3 generate.py --check    # fails where it isn't what would be written
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DESCRIPTION = HERE.parents[1] / "services/api/openapi.json"
TARGET = HERE / "headway/answers.py"
ROOTS = ("Snapshot", "Explanation", "BatchList")
PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None", "object": "dict[str, Any]"}

HEAD = '''"""What the API answers, as types. Made from the API's description by generate.py: don't edit.

A code of a cause is an open string: a later version may say one that isn't in KnownCauseCode.
"""

from __future__ import annotations

from typing import Any, Literal, Optional, TypedDict, Union
'''


def written(schemas: dict[str, Any]) -> str:
    names = reached(schemas)
    words = [alias(name, schemas[name]) for name in names if "properties" not in schemas[name]]
    classes = [fields(name, schemas[name]) for name in names if "properties" in schemas[name]]
    return "\n".join([HEAD, *words, *classes])


def reached(schemas: dict[str, Any]) -> list[str]:
    """The schemas that the roots need, each after those that it names."""
    order: list[str] = []

    def visit(name: str) -> None:
        if name in order:
            return
        for other in references(schemas[name]):
            visit(other)
        order.append(name)

    for root in ROOTS:
        visit(root)
    return order


def references(schema: Any) -> list[str]:
    if isinstance(schema, list):
        return [name for part in schema for name in references(part)]
    if not isinstance(schema, dict):
        return []
    own = [schema["$ref"].rsplit("/", 1)[-1]] if "$ref" in schema else []
    return own + [name for key in sorted(schema) if key != "propertyNames" for name in references(schema[key])]


def alias(name: str, schema: dict[str, Any]) -> str:
    if "enum" not in schema or len(schema["enum"]) < 8:
        return f"{name} = {kind(schema)}"
    return f"{name} = Literal[\n" + "".join(f'    "{word}",\n' for word in schema["enum"]) + "]"


def fields(name: str, schema: dict[str, Any]) -> str:
    required = [f"    {key}: {kind(s)}" for key, s in schema["properties"].items() if key in schema["required"]]
    optional = [f"    {key}: {kind(s)}" for key, s in schema["properties"].items() if key not in schema["required"]]
    text = schema.get("description", "")
    said = [f'    """{text}"""\n'] if 0 < len(text) < 120 else []
    lines = [f"\nclass {name}(TypedDict):", *said, *required, ""]
    if optional:
        lines = [f"\nclass _{name}(TypedDict, total=False):", *optional, f"\n\nclass {name}(_{name}):", *said, *required, ""]
    return "\n".join(lines)


def kind(schema: dict[str, Any]) -> str:  # noqa: PLR0911 (a case each)
    """The type of a value."""
    if "$ref" in schema:
        return str(schema["$ref"].rsplit("/", 1)[-1])
    if "anyOf" in schema:
        return union([kind(s) for s in schema["anyOf"]])
    if "enum" in schema:
        words = [w for w in schema["enum"] if w is not None]
        return union([f"Literal[{', '.join(json.dumps(w) for w in words)}]"] + ["None"] * (None in schema["enum"]))
    types = schema.get("type")
    if isinstance(types, list):
        return union([kind({**schema, "type": one}) for one in types])
    if types == "array":
        return f"list[{kind(schema.get('items', {}))}]"
    if types == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"dict[str, {kind(schema['additionalProperties'])}]"
    return PLAIN.get(str(types), "Any")


def union(parts: list[str]) -> str:
    one = [p for p in parts if p != "None"]
    text = one[0] if len(one) == 1 else f"Union[{', '.join(one)}]"
    return text if len(one) == len(parts) else f"Optional[{text}]"


def main() -> int:
    text = written(json.loads(DESCRIPTION.read_text())["components"]["schemas"])
    if "--check" not in sys.argv:
        TARGET.write_text(text)
        return 0
    if TARGET.read_text() == text:
        return 0
    print(f"{TARGET} isn't what the API says of itself: python3 {Path(__file__).name}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
