"""The page of /metrics as a dict, for tests."""

import re

SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def parse_page(text: str) -> dict[str, float]:
    """Values by name and labels, labels in the order of the alphabet: 'a_total{x="1",y="2"}'."""
    values = {}
    for line in text.splitlines():
        if line.startswith("#") or not line:
            continue
        found = SAMPLE.match(line)
        assert found, line
        name, labels, value = found.groups()
        pairs = sorted(LABEL.findall(labels or ""))
        key = name + ("{" + ",".join(f'{n}="{v}"' for n, v in pairs) + "}" if pairs else "")
        assert key not in values, key
        values[key] = float(value)
    return values
