"""Scores of rendered pictures: likeness, obedience to the prompt, and where the person's attention goes."""
