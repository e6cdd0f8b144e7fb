"""Lessons: the reader predicts a number, the lab measures it, and the text says why it is so."""
