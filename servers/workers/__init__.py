"""The processes of a pre-fork server: their parent, and what each of them does."""
