"""Modules and functions stay short enough to be read."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = [path for folder in ("phasecal", "workflows/aiida_phasecal") for path in (ROOT / folder).rglob("*.py")]
MAX_MODULE = 400
MAX_FUNCTION = 70


def test_modules_and_functions_are_within_their_budget_of_lines():
    too_long = []
    for path in SOURCES:
        text = path.read_text()
        sizes = {"module": len(text.splitlines())}
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                sizes[node.name] = node.end_lineno - node.lineno + 1
        budget = {"module": MAX_MODULE}
        too_long += [f"{path}: {name}: {n}" for name, n in sizes.items() if n > budget.get(name, MAX_FUNCTION)]
    assert SOURCES
    assert not too_long
