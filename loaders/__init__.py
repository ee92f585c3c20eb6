"""Batches to committed rows. This floor knows Arrow and DuckDB, and nothing of Hamilton or Ibis."""
