"""
Charts as SVG text, and which of them a comparison has.

They are drawn by hand. Altair with vl-convert (109 MB installed, 1.4 s for a curve) and matplotlib (176 MB, 0.7 s)
would save perhaps half of the lines, but need a picture for each theme, three times as large (36 and 32 kB; ours has
both in 11 kB), and have no tooltips without scripts (0.9 MB).
"""
