"""The comparison: every variant in a fresh process under the same loads, measured, tabled and drawn."""
