"""What dependencies will do on each base, judged from the package index alone."""
