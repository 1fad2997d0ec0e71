"""Pricing: what a request cost, in whole picodollars (10^-12 USD). Pure; the only place that turns tokens into money.

Integers throughout: sums of floats drift, and budgets are compared with limits. Of 4,567 published prices 264 are not
whole nanodollars per token and 5 are not whole picodollars, so the picodollar is the unit and those few are rounded.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache

import msgspec

from routerd.catalogue.schema import Price
from routerd.spend import tariff
from routerd.usage import Usage

PICOUSD = 10**12
"""Picodollars in a dollar."""
PER_MILLION = 10**6
"""One USD per million tokens, in picodollars per token."""
LARGEST_USD = Decimal(10**9)
"""A price or sum over this is a slip of the keyboard; the bound also keeps "1e999999" from becoming a huge integer."""


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What one request cost, in picodollars. `total` is prompt + completion + extras.

    `discount` is what caching saved against the plain prompt price; negative where writing the cache cost more.
    Where the provider reported one sum of its own, `itemised` is False and the parts are 0, meaning "not known".
    """

    total: int
    prompt: int = 0
    completion: int = 0
    extras: int = 0
    """What is not paid by the token: the request itself, searches, a reranker's units."""
    discount: int = 0
    itemised: bool = True


def cost(usage: Usage, price: Price | None, *, now: float | None = None) -> Cost | None:
    """The cost of `usage`: the provider's own figure if it gave one, else by `price`; None when neither is known.

    Every token is billed once, at the price of its kind if that is known, else at that of what it is a part of. Counts
    that contradict each other (more cached tokens than prompt) neither bill a token twice nor make a part negative.
    `now` is wall time in seconds, for prices that change with it (tariff.py).
    """
    if usage.cost_picousd is not None and usage.cost_picousd >= 0:
        return Cost(total=usage.cost_picousd, itemised=False)
    if price is None:
        return None
    if price.overrides:
        price = tariff.resolve(price, prompt_tokens=usage.prompt, now=now)
    prompt, discount = _prompt(usage, price)
    completion = _completion(usage, price)
    extras = price.request
    if usage.searches or usage.search_units:
        extras += _part(usage.searches) * (price.web_search or 0) + _part(usage.search_units) * (price.search_unit or 0)
    return Cost(
        total=prompt + completion + extras, prompt=prompt, completion=completion, extras=extras, discount=discount
    )


def _prompt(usage: Usage, price: Price) -> tuple[int, int]:
    """(what the prompt cost, what caching saved)."""
    whole = _part(usage.prompt)
    cached = _part(usage.cached, whole)
    written = _part(usage.cache_write, whole - cached)
    plain = whole - cached - written
    spent, saved = 0, 0
    if cached:
        spent, saved = _cached(cached, _part(usage.audio_cached, cached), price)
    if written:
        write = _known(price.cache_write, price.prompt)
        hour = _part(usage.cache_write_1h, written)
        cost_of_writing = (written - hour) * write + hour * _known(price.cache_write_1h, write)
        spent, saved = spent + cost_of_writing, saved + written * price.prompt - cost_of_writing
    if usage.audio_input or usage.image_input:
        heard = _part(usage.audio_input - _part(usage.audio_cached, cached), plain)
        seen = _part(usage.image_input, plain - heard)
        spent += heard * _known(price.audio, price.prompt) + seen * _known(price.image_token, price.prompt)
        plain -= heard + seen
    return spent + plain * price.prompt, saved


def _cached(cached: int, heard: int, price: Price) -> tuple[int, int]:
    """(what tokens read from the cache cost, what that saved); `heard` of them are audio."""
    read = _known(price.cache_read, price.prompt)
    audio = _known(price.audio, price.prompt)
    audio_read = _known(price.audio_cache_read, _known(price.cache_read, audio))
    spent = (cached - heard) * read + heard * audio_read
    return spent, (cached - heard) * price.prompt + heard * audio - spent


def _completion(usage: Usage, price: Price) -> int:
    """What the answer cost."""
    left = _part(usage.completion)
    spent = 0
    if usage.reasoning and price.reasoning is not None:
        thought = _part(usage.reasoning, left)
        spent, left = thought * price.reasoning, left - thought
    if usage.audio_output or usage.image_output:
        spoken = _part(usage.audio_output, left)
        drawn = _part(usage.image_output, left - spoken)
        spent += spoken * _known(price.audio_output, price.completion)
        spent += drawn * _known(price.image_output, price.completion)
        left -= spoken + drawn
    return spent + left * price.completion


def _part(count: int, whole: int | None = None) -> int:
    """A count that is not negative, nor larger than what it is a part of."""
    if count <= 0:
        return 0
    return count if whole is None or count < whole else whole


def _known(price: int | None, otherwise: int) -> int:
    return otherwise if price is None else price


@lru_cache(maxsize=64)  # the same sum goes into the answer and into the record
def format_usd(picousd: int) -> str:
    """The exact amount in USD, without exponent or trailing zeros: 28050000 is "0.00002805", 0 is "0"."""
    sign = "-" if picousd < 0 else ""
    whole, rest = divmod(abs(picousd), PICOUSD)
    fraction = f"{rest:012d}".rstrip("0")
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def parse_usd(value: float | str) -> int:
    """An amount in USD as picodollars, rounded half up to a whole one. ValueError says what is wrong, for people."""
    return _scaled(value, PICOUSD)


def parse_usd_per_million(value: float | str) -> int:
    """A price in USD per million tokens as picodollars per token, rounded half up. ValueError as `parse_usd`.

    A float counts as its shortest decimal text: 0.1 is exactly one tenth, as the person who wrote it meant.
    """
    return _scaled(value, PER_MILLION)


def _scaled(value: float | str, unit: int) -> int:
    """`value` x `unit` as a whole number, half up."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"must be an amount in USD, not {value!r}")  # noqa: TRY004  # one kind of error to report
    try:
        amount = Decimal(value.strip() if isinstance(value, str) else str(value))
    except InvalidOperation:
        raise ValueError(f"must be an amount in USD such as 0.15, not {value!r}") from None
    if not amount.is_finite():
        raise ValueError(f"must be an amount in USD such as 0.15, not {value!r}")
    if amount < 0:
        raise ValueError(f"must not be negative, but is {value!r}")
    if amount > LARGEST_USD:
        raise ValueError(f"must be at most {LARGEST_USD} USD, but is {value!r}")
    return int((amount * unit).quantize(Decimal(1), rounding=ROUND_HALF_UP))
