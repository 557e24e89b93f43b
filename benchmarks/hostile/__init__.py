"""How hostile files are made (`mutate`), and what reads them (`kinds`)."""
