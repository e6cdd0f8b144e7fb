"""Charts as SVG text, and which of them a comparison has."""
