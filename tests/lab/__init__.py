"""The lab: base images made on the spot from Debian's packages, and what serves them."""
