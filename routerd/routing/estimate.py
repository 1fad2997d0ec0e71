"""What a request will cost at an endpoint, for comparing endpoints: what it did cost is `spend.pricing`'s. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from routerd.catalogue.schema import Override, Price
from routerd.needs import Needs

ANSWER = 500
"""Tokens of an answer where the request sets no lower limit; about what chats and agents' steps have alike."""
DAY = 86_400


def estimated(price: Price, needs: Needs, wall: float) -> int:
    """Picodollars for a request of these needs now. No cache is counted on."""
    answer = min(needs.max_tokens or ANSWER, ANSWER)
    prompt, completion = price.prompt, price.completion
    for override in price.overrides:
        if _holds(override, needs.prompt_tokens, wall):
            prompt = prompt if override.prompt is None else override.prompt
            completion = completion if override.completion is None else override.completion
    return prompt * max(needs.prompt_tokens, 1) + completion * answer + price.request


def _holds(override: Override, prompt_tokens: int, wall: float) -> bool:
    """Whether all of an override's conditions hold."""
    if override.min_prompt_tokens is not None and prompt_tokens <= override.min_prompt_tokens:
        return False
    if override.utc_days and int(wall // DAY + 3) % 7 + 1 not in override.utc_days:  # 1970-01-01 was a Thursday
        return False
    today = day_of(wall)
    if (override.from_day or today) > today or (override.until_day or "9999") <= today:
        return False
    begin, end = _minute(override.utc_start), _minute(override.utc_end)
    if begin is None or end is None:
        return True
    minute = int(wall % DAY // 60)
    return begin <= minute < end if begin <= end else minute >= begin or minute < end


def _minute(text: str | None) -> int | None:
    return int(text[:2]) * 60 + int(text[2:]) if text and len(text) == 4 and text.isdecimal() else None


def day_of(wall: float) -> str:
    """The day in UTC, "YYYY-MM-DD"."""
    return _day(int(wall // DAY))


@lru_cache(maxsize=8)
def _day(number: int) -> str:
    return datetime.fromtimestamp(number * DAY, UTC).date().isoformat()
