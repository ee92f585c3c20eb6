"""Benchmarks: headrace beside dlt, DuckDB's own reader and pandas, on the same rows and the same machine.

    generators.py       seeded files of three kinds: slack_messages.py, flat_events.py, wide_events.py
    engines.py          one load by one engine, in a process of its own
    growth.py merge.py dag.py     other things to measure, likewise
    run.py              starts such a process, times it from outside and checks what it loaded
    suites.py           which cases there are; runs them in turns, and keeps what it measured in results/
    measurements.py     reads that; report.py and charts.py make docs/benchmarks.md of it

`make bench` does it all; `python -m benchmarks.run headrace slack jsonl 25000` measures one load.
"""
