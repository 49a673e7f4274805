"""Images that the house builds itself from Debian packages, without root and without loop mounts."""
