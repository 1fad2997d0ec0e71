"""Pricing: what a request cost, in whole picodollars (10^-12 USD). Pure; the only place that turns tokens into money.

Integers throughout: sums of floats drift, and budgets are compared with limits. Of 4,567 published prices 264 are not
whole nanodollars per token and 5 are not whole picodollars, so the picodollar is the unit and those few are rounded.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache

import msgspec

from routerd.catalogue.schema import Price
from routerd.usage import Usage

PICOUSD = 10**12
"""Picodollars in a dollar."""
PER_MILLION = 10**6
"""One USD per million tokens, in picodollars per token."""
LARGEST_USD = Decimal(10**9)
"""A price or sum over this is a slip of the keyboard; the bound also keeps "1e999999" from becoming a huge integer."""


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What one request cost, in picodollars. `total` is prompt + completion + the price per request.

    `discount` is what caching saved against the plain prompt price; negative where writing the cache cost more.
    Where the provider reported one sum of its own, `itemised` is False and the three parts are 0, meaning "not known".
    """

    total: int
    prompt: int = 0
    completion: int = 0
    discount: int = 0
    itemised: bool = True


def cost(usage: Usage, price: Price | None) -> Cost | None:
    """The cost of `usage`: the provider's own figure if it gave one, else by `price`; None when neither is known.

    Every token is billed once: cached and written tokens at their own price if it is known, else as plain prompt.
    Counts that contradict each other (cached over prompt) never make a part negative.
    """
    if usage.cost_picousd is not None and usage.cost_picousd >= 0:
        return Cost(total=usage.cost_picousd, itemised=False)
    if price is None:
        return None
    cached, written = max(0, usage.cached), max(0, usage.cache_write)
    plain = max(0, usage.prompt - cached - written)
    read_price = price.prompt if price.cache_read is None else price.cache_read
    write_price = price.prompt if price.cache_write is None else price.cache_write
    prompt = plain * price.prompt + cached * read_price + written * write_price
    completion = max(0, usage.completion) * price.completion
    return Cost(
        total=prompt + completion + price.request,
        prompt=prompt,
        completion=completion,
        discount=cached * (price.prompt - read_price) + written * (price.prompt - write_price),
    )


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
