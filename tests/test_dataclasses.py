"""What dataclasses of the package have in common."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
ARRAYS = {"np.ndarray", "np.ndarray | None", "Tensor", "Tensor | None"}


def test_no_dataclass_asks_an_array_whether_it_is_true():
    """The generated ``__eq__`` does; before Python 3.13 only of two arrays that are not the same object."""
    wrong = []
    for path in [*ROOT.glob("medvl/**/*.py"), *ROOT.glob("app/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                made = [ast.unparse(d) for d in node.decorator_list]
                held = {ast.unparse(item.annotation) for item in node.body if isinstance(item, ast.AnnAssign)}
                if held & ARRAYS and any(d.startswith("dataclass") and "eq=False" not in d for d in made):
                    wrong.append(f"{path.relative_to(ROOT)}: {node.name}")
    assert wrong == []
