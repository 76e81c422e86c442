"""Runs first in PyInstaller's artefacts: give the host back what a packed Python hides from it.

The bootloader points ``LD_LIBRARY_PATH`` at its own libraries, which other programs (credential
helpers) must not load; the dynamic linker has read it already. This program, started once more,
then has to set out from the beginning, which a variable of the bootloader's says.

The packed OpenSSL looks for certificate authorities where the system that built it keeps them;
other systems keep them elsewhere (the list is that of Go's crypto/x509, root_linux.go).
"""

import os
import ssl

AUTHORITIES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Gentoo
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL 6
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # RHEL 7 and later
    "/etc/ssl/cert.pem",  # Alpine
)

original = os.environ.pop("LD_LIBRARY_PATH_ORIG", None)
if original is None:
    os.environ.pop("LD_LIBRARY_PATH", None)
else:
    os.environ["LD_LIBRARY_PATH"] = original

os.environ["PYINSTALLER_RESET_ENVIRONMENT"] = "1"

paths = ssl.get_default_verify_paths()
if paths.cafile is None and not (paths.capath and os.listdir(paths.capath)):
    found = next((path for path in AUTHORITIES if os.path.exists(path)), None)
    if found is not None:
        os.environ.setdefault("SSL_CERT_FILE", found)
