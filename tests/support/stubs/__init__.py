"""Servers and loads whose behaviour is known, most of them processes of their own."""
