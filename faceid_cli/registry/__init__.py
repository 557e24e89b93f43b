"""What faceid remembers: identities, training runs and renders, in SQLite.

`names.py` needs the standard library only, so that shell completion stays quick; `store.py` brings in SQLModel.
"""
