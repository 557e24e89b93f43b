"""How hostile files are made (`mutate`), and what reads them: all kinds by name are in `kinds`."""
