"""A token service (docs.docker.com/registry/spec/auth) whose tokens a real registry believes."""

from __future__ import annotations

import base64
import datetime
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from tests.integration.registry.origin import Origin, serving
from tests.support.http import answers
from tests.support.process import running
from tests.support.registry import free_port

SERVICE = "test-registry"
ISSUER = "test-issuer"

CONFIG = """\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {root}}}}}
http: {{addr: "{address}", secret: tests}}
auth:
  token: {{realm: "{realm}", service: {service}, issuer: {issuer}, rootcertbundle: {bundle}}}
"""


class TokenService:
    """Issues tokens; who may do what is in ``rights``, by user name (empty: anonymous)."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = _self_signed(self._key)
        self.origin = Origin()
        self.rights: dict[str, dict[str, list[str]]] = {}
        """By user, by repository: allowed actions."""
        self.passwords: dict[str, str] = {}
        self.refresh_tokens: dict[str, str] = {}
        """User by refresh token."""
        self.issued: list[str] = []
        """Tokens so far."""

    @property
    def certificate_pem(self) -> bytes:
        """What a registry needs to believe our tokens."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def realm(self) -> str:
        """URL to put into challenges."""
        return f"{self.origin.url}/token"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """``GET /token`` with Basic or anonymous, or ``POST`` (OAuth 2) with a refresh token or a
        password."""
        if request.method == "POST":
            form = await request.post()
            if form["grant_type"] == "password":
                user = self._user(str(form["username"]), str(form["password"]))
            else:
                user = self.refresh_tokens.get(str(form["refresh_token"]))
            scopes = str(form["scope"]).split()
            name = "access_token"
        else:
            user = self._basic_user(request.headers.get("Authorization"))
            scopes = request.query.getall("scope", [])
            name = "token"
        if user is None:
            return web.json_response({"errors": [{"code": "UNAUTHORIZED"}]}, status=401)
        return web.json_response({name: self.token(user, scopes), "expires_in": 300})

    def token(self, user: str, scopes: list[str], *, age_s: float = 0.0) -> str:
        """A JSON web token that was issued ``age_s`` ago, valid for five minutes."""
        issued = int(time.time() - age_s)
        chain = self._certificate.public_bytes(serialization.Encoding.DER)
        header = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(chain).decode()]}
        claims = {
            "iss": ISSUER,
            "sub": user,
            "aud": SERVICE,
            "exp": issued + 300,
            "nbf": issued - 10,
            "iat": issued,
            "jti": str(time.monotonic_ns()),
            "access": [access for scope in scopes for access in self._access(user, scope)],
        }
        signed = ".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        token = f"{signed}.{_base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"
        self.issued.append(token)
        return token

    def _basic_user(self, authorization: str | None) -> str | None:
        if authorization is None:
            return ""
        user, _, password = base64.b64decode(authorization[6:]).decode().partition(":")
        return self._user(user, password)

    def _user(self, name: str, password: str) -> str | None:
        return name if self.passwords.get(name) == password else None

    def _access(self, user: str, scope: str) -> list[dict[str, object]]:
        kind, name, actions = scope.split(":")
        allowed = self.rights.get(user, {}).get(name, [])
        granted = [action for action in actions.split(",") if action in allowed]
        return [{"type": kind, "name": name, "actions": granted}] if granted else []


@asynccontextmanager
async def token_service() -> AsyncIterator[TokenService]:
    """Run a token service on loopback."""
    service = TokenService()
    async with serving(service.handle) as origin:
        service.origin = origin
        yield service


@asynccontextmanager
async def token_registry(directory: Path, service: TokenService) -> AsyncIterator[str]:
    """Run Debian's docker-registry behind ``service``; yields its base URL."""
    address = f"127.0.0.1:{free_port()}"
    config, bundle = directory / "token.yml", directory / "bundle.pem"
    bundle.write_bytes(service.certificate_pem)
    config.write_text(
        CONFIG.format(
            root=directory / "blobs",
            address=address,
            realm=service.realm,
            service=SERVICE,
            issuer=ISSUER,
            bundle=bundle,
        )
    )

    async def is_up() -> bool:
        return await answers(f"http://{address}/v2/", status=401)

    command = ["docker-registry", "serve", str(config)]
    async with running(command, log=directory / "token.log", ready=is_up, grace=1.0):
        yield f"http://{address}"


def _self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ISSUER)])
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
