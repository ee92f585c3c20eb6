"""Say what one value is and where it stands: pure, and it imports nothing of headrace but its errors.

Guarantees: one table says which SQL type holds which kinds (`kinds`), and one function says which kind a
value has (`infer`), so both lanes of shredding agree. Names never collide, and a path is written in one
way (`paths`).

Read `paths`, `kinds` and `infer` first; then `marks` (what JSON cannot say), `casts` and `retype` (SQL
that compares a value in two types).
"""

from __future__ import annotations
