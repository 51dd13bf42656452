"""What each command takes and does: a module for each kind; the only place, with cli.py, that prints results."""
