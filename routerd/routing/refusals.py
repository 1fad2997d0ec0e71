"""Nothing is left: the error that names what emptied the list, and who would have served without it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from routerd.errors import CoolingDown, NothingLeft, PermissionDenied, RouterdError
from routerd.routing.question import Excluded

MOST_NAMED = 5
DOCS = "https://openrouter.ai/docs/guides/routing/provider-selection"
"""Where the preferences are explained that may exclude everybody."""
ALLOW_LISTS = "allow"
"""How the sources of allow lists end (`question.Allow`)."""


def nothing_left(excluded: Sequence[Sequence[Excluded]], requested: str) -> RouterdError:
    """The error for a request of which every endpoint is excluded; for each endpoint all that it has against it.

    It names the one thing that, if it were not there, would let most endpoints serve: those that have nothing else
    against them. 403 where an allow list or a rule is what refuses, else 404.
    """
    alone = Counter(faults[0].source for faults in excluded if len({fault.source for fault in faults}) == 1)
    every = [fault for faults in excluded for fault in faults]
    reasons = list(dict.fromkeys(fault.reason for fault in every))
    if alone:
        source = alone.most_common(1)[0][0]
        to_blame = [fault for fault in every if fault.source == source]
        would = [fault.endpoint.slug for fault in to_blame if _only(source, excluded, fault)]
    else:  # several things together: none of them is enough
        source, to_blame, would = "", every, []
    details = list(dict.fromkeys(f"{fault.endpoint.slug}: {fault.detail}" for fault in to_blame))
    text = f'no endpoint of "{requested}" is left by {source or "all of this together"}: {_listed(details, "; ")}'
    if would:
        text += f"; without it, it would be served by {_listed(list(dict.fromkeys(would)), ', ')}"
    constraint = {"field": source or "several", "detail": details[0]}
    metadata: dict[str, Any] = {
        "excluded_by": reasons,
        "constraint": constraint,
        "availability": availability(_code(reasons), [requested], excluded_by=reasons, constraint=constraint),
        "would_serve": list(dict.fromkeys(would)),
        "excluded": [
            {
                "provider": fault.endpoint.provider,
                "model": fault.endpoint.model,
                "reason": fault.reason,
                "detail": fault.detail,
                "source": fault.source,
            }
            for fault in every[:20]
        ],
    }
    forbidden = all(
        any(fault.reason == "rule" or fault.source.endswith(ALLOW_LISTS) for fault in faults) for faults in excluded
    )
    return (PermissionDenied if forbidden else NothingLeft)(text, metadata=metadata)


def _code(reasons: Sequence[str]) -> str:
    """OpenRouter's word for what emptied the list."""
    if all(reason.startswith("data_policy:") for reason in reasons):
        return "privacy_restricted"
    if all(reason == "data_region" for reason in reasons):
        return "region_restricted"
    return "model_deprecated" if all(reason == "shutdown" for reason in reasons) else "constraint_filtered"


def availability(code: str, models: Sequence[str], *, retryable: bool = False, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """OpenRouter's `error.availability`: what is the matter, in words that programs read."""
    return {"code": code, "retryable": retryable, "requested_models": list(models), "docs_url": DOCS, **more}


def _only(source: str, excluded: Sequence[Sequence[Excluded]], fault: Excluded) -> bool:
    """Whether nothing but one source excludes a fault's endpoint."""
    return any(
        faults[0].endpoint is fault.endpoint and all(one.source == source for one in faults) for faults in excluded
    )


def _listed(items: Sequence[str], separator: str) -> str:
    more = f" and {len(items) - MOST_NAMED} more" if len(items) > MOST_NAMED else ""
    return separator.join(items[:MOST_NAMED]) + more


def cooling_down(slugs: Sequence[str], seconds: int, requested: str) -> CoolingDown:
    """The error for a request whose every endpoint has asked to be left alone."""
    names = list(dict.fromkeys(slugs))
    return CoolingDown(
        f"{', '.join(names)} asked to be left alone for another {seconds} s",
        retry_after=seconds,
        metadata={
            "availability": availability(
                "capacity_exhausted", [requested], retryable=True, retry_after=seconds, affected_providers=names
            )
        },
    )
