"""A token that a program prints and that is asked for again before its time is over: Azure's, for one.

`az account get-access-token --resource https://cognitiveservices.azure.com --query accessToken -o tsv` prints a token
of Entra ID that lives for about an hour (https://learn.microsoft.com/en-us/azure/ai-foundry/openai/how-to/managed-identity).
"""

from __future__ import annotations

from routerd.secret_reads import from_command
from routerd.secret_sources import FromCommand
from routerd.secret_values import Secret
from routerd.server import clock
from routerd.server.cloud_auth import EARLY, BearerToken, CloudError, Lease


def command_token(source: FromCommand, *, ttl: float) -> BearerToken:
    """The token of a program that is run again when `ttl` seconds are nearly over."""

    async def fetch() -> Lease[Secret]:
        outcome = await from_command(source)
        if not isinstance(outcome, Secret):
            raise CloudError(f"{source} {outcome.reason}")
        return Lease(outcome, clock.wall() + ttl)

    return BearerToken(str(source), fetch, early=min(EARLY, ttl / 4))
