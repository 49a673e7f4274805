"""Files that whoever starts the process hands to it: the credentials of systemd, and the secrets of a container."""

import os
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "CREDENTIALS_DIRECTORY"
USUAL_FOLDER = Path("/run/credentials/onefleet.service")
"""Where systemd keeps those of our service while it runs. Source: systemd.exec(5), LoadCredential=."""

_CONTAINERS_FOLDER = Path("/run/secrets")


def credentials_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where this process finds its credentials; one that has none is a command, which looks at the service's."""
    return Path(environ.get(VARIABLE) or USUAL_FOLDER)


def is_credential(file: Path) -> bool:
    """Whether systemd hands this file to us."""
    return file.parent == credentials_folder()


def is_handed(file: Path) -> bool:
    """Whether somebody hands us this file: who may read it is not for us to say, nor is it ours to change."""
    return is_credential(file) or _CONTAINERS_FOLDER in file.parents


def advice_on_missing(file: Path) -> str:
    """Return what to do where there is no such file; empty if nobody hands it to us."""
    if not is_handed(file):
        return ""
    if not is_credential(file):
        return f"it is a secret of this container: start that with one of the name {file.name}"
    loading = f"LoadCredential={file.name}:/PATH/TO/{file.name}"
    if VARIABLE in os.environ:
        return f"it is a credential, and the service's unit must load it: {loading}"
    return (
        f"it is a credential, and systemd has it there only while onefleet.service runs, whose unit must load it:"
        f" {loading}. Credentials elsewhere are found by ${VARIABLE}"
    )
