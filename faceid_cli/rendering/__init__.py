"""From identities and a prompt to picture files."""
