"""Which providers want more than a key in a header, and who signs for them (cloud_auth.py)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import structlog

from routerd.config.runtime import Runtime, Source
from routerd.errors import ConfigError
from routerd.server import cloud_aws, cloud_google
from routerd.server.cloud_auth import CloudError, Signer

log = structlog.get_logger("routerd")


def signers(runtime: Runtime, environ: Mapping[str, str]) -> dict[str, Signer]:
    """A signer for each provider of a cloud that has no key of its own, by the provider's name. ConfigError."""
    found = {}
    faults = []
    for source in runtime.sources.values():
        try:
            signer = None if source.keys else _signer(source, environ)
        except (CloudError, ValueError) as error:
            faults.append(f"providers.{source.name}: {error}")
        else:
            if signer is not None:
                found[source.name] = signer
    if faults:
        raise ConfigError(faults)
    return found


def _signer(source: Source, environ: Mapping[str, str]) -> Signer | None:
    if source.auth == "aws":
        url = next(iter(source.urls.values()))
        region = cloud_aws.region(base_url=url, configured=source.region, environ=environ)
        return cloud_aws.aws(region=region, profile=source.profile)
    if source.auth == "google":
        return cloud_google.google(file=source.credentials)
    return None


async def prepare(found: Mapping[str, Signer]) -> None:
    """Fetch what each of them needs. One that fails goes on trying; until then its provider is asked in vain."""
    for name, signer in found.items():
        try:
            await signer.prepare()
        except CloudError as error:
            log.warning("cloud.unready", provider=name, message=str(error))


def stop(found: Iterable[Signer]) -> None:
    """Renew nothing any more."""
    for signer in found:
        signer.stop()
