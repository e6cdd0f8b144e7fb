"""Servers, clients, stubs and load processes for the tests of every room."""
