"""A Dask scheduler that runs already: it is connected to, and left running."""

from collections.abc import Iterator
from contextlib import contextmanager

from distributed import Client
from distributed.security import Security

from dnmf.clusters.keys import Address, File
from dnmf.clusters.kind import Profile


class Scheduler(Profile, frozen=True, kw_only=True, tag="scheduler"):
    """Its address; for tls:// the files of the authority, of the client's certificate and of its key."""

    files = ("ca", "cert", "key")
    address: Address
    ca: File | None = None
    cert: File | None = None
    key: File | None = None

    @contextmanager
    def open(self) -> Iterator[Client]:
        """A client of the scheduler."""
        security = self._security()
        try:
            client = Client(str(self.address), timeout="10s", set_as_default=False, security=security)
        except (OSError, ValueError) as error:
            trusted = ", and are the certificates of one authority" if security else ""
            raise ConnectionError(
                f"no scheduler answers at {self.address} ({error}): is it running, and reached from here{trusted}?"
            ) from None
        with client, client.as_current():
            yield client

    def _security(self) -> Security | None:
        """Certificates for a tls:// address: those of the profile, else those of Dask's own configuration."""
        files = {"tls_ca_file": self.ca, "tls_client_cert": self.cert, "tls_client_key": self.key}
        given = {name: path for name, path in files.items() if path is not None}
        if not self.address.startswith("tls://"):
            if given:
                raise ValueError(
                    f"certificates are given for {self.address}: they need an address that starts with tls://"
                )
            return None
        security = Security(require_encryption=True, **given)
        client = security.get_tls_config_for_role("client")
        if not (client["ca_file"] and client["cert"]):
            raise ValueError(
                f"{self.address} needs certificates: give a profile of kind scheduler with ca, cert and key, the paths "
                f"of PEM files, or set distributed.comm.tls in Dask's configuration"
            )
        return security
