"""The configuration that `routerd init` writes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from routerd.catalogue.load import providers as known_providers
from routerd.cli import starter
from routerd.cli.starter import Chosen
from routerd.config import known
from routerd.config.load import parse
from routerd.config.schema import Provider

CHOSEN = st.builds(
    Chosen,
    slug=st.sampled_from(sorted(known_providers())),
    source=st.sampled_from(["none", "env:A_KEY", "keyring:routerd/x"]),
    comment=st.just("A provider."),
)


@given(st.lists(CHOSEN, unique_by=lambda chosen: chosen.slug, max_size=5), st.booleans())
def test_whatever_was_chosen_the_file_loads_without_a_fault(chosen: list[Chosen], simulator: bool) -> None:
    config = parse(starter.text(chosen, simulator=simulator)).config
    found = {name: [str(source) for source in provider.key or ()] for name, provider in config.providers.items()}
    assert found.pop("simulator", None) == ([] if simulator else None)
    assert found == {one.slug: [one.source] for one in chosen if not known.unfilled(one.slug, Provider())}


def test_what_is_reached_at_an_address_of_the_users_own_waits_for_it() -> None:
    chosen = Chosen(slug="azure", source="env:X", comment="Clouds.")
    text = starter.text([chosen], simulator=False)
    assert '# Clouds.\n# It is reached at an address of your own:\n# [providers.azure]\n# key = "env:X"\n' in text
    assert parse(
        text.replace("# [providers.azure]", "[providers.azure]").replace('# resource = "..."', 'resource = "x"')
    )


def test_it_listens_where_the_exports_say() -> None:
    assert [str(listen) for listen in parse(starter.text([], simulator=False)).config.server.listen] == [starter.LISTEN]


def test_each_provider_has_its_comment_above_it() -> None:
    text = starter.text([Chosen(slug="groq", source="env:X", comment="Fast.")], simulator=False)
    assert '\n# Fast.\n[providers.groq]\nkey = "env:X"\n' in text
    assert 'models = ["groq/MODEL", "openai/MODEL"]' in text
