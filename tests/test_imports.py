"""Imports run one way: a package imports only what stands below it in ``ORDER``, and nothing imports in a circle."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ORDER = (
    "app", "jobs", "evaluation", "training", "model", "case", "case_file", "report", "conversation", "tools",
    "structures", "prompting", "networks", "weights", "writers", "readers", "language", "vocabulary", "ct", "errors",
    "version",
)  # fmt: skip
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for folder in ("app", "medvl")
    for path in (ROOT / folder).rglob("*.py")
}


def imported(module: str) -> set[str]:
    """Modules of the project that a module imports anywhere in it."""
    found = set()
    inside = MODULES[module].name == "__init__.py"
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            here = module.split(".")[: len(module.split(".")) - node.level + inside] if node.level else []
            base = ".".join([*here, *([node.module] if node.module else [])])
            found |= {f"{base}.{name.name}" if f"{base}.{name.name}" in MODULES else base for name in node.names}
    return found & MODULES.keys()


def floor(module: str) -> int:
    """Place of a module's package in ``ORDER``; the public ``medvl`` and ``python -m medvl`` stand on top."""
    parts = module.split(".")
    name = parts[0] if parts[0] == "app" else parts[1] if len(parts) > 1 else "__main__"
    return -1 if name == "__main__" else ORDER.index(name)


def test_no_import_runs_upward():
    wrong = [f"{a} imports {b}" for a in MODULES for b in imported(a) if floor(b) < floor(a) and b != "medvl"]
    inside = [module for module in MODULES if module.startswith("medvl.")]
    wrong += [f"{module} imports the public names" for module in inside if "medvl" in imported(module)]
    assert wrong == []


def test_no_circle():
    graph = {module: imported(module) - {module} for module in MODULES}
    while leaves := {module for module, below in graph.items() if not below}:
        graph = {module: below - leaves for module, below in graph.items() if module not in leaves}
    assert sorted(graph) == []
