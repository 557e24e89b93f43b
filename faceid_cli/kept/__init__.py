"""What lies on disk: where it is, settings, weights, identity files, and what enrolments leave behind."""
