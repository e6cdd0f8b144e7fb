"""Asks a server, in any language, for what the lab's own must do: a scorecard."""
