"""From what was measured to what may be said: measures, intervals, verdicts. Nothing here runs anything."""
