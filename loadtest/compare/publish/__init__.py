"""The published results: the READMEs' measured figures, written from them, and whether they still hold."""
