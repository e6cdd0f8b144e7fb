"""From what was measured to what may be said: figures, intervals, verdicts. Nothing here runs anything."""
