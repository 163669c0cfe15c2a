"""Prompts: kept whole, found by id and by a part of their words, listed newest first."""

from datetime import timedelta, timezone
from pathlib import Path

import pytest

from cosmos_ops.errors import InputError, RecordNotFoundError

from .builders import START, a_prompt


def texts(prompts):
    return [prompt.text for prompt in prompts]


def test_a_prompt_comes_back_as_it_was(store):
    parent = store.add_prompt(a_prompt("short"))
    prompt = a_prompt(
        "long", negative_text="blur", name="Straße", inputs={"video": Path("/v/a b.mp4"), "edge": Path("/e")}, parent_id=parent.id
    )
    assert store.add_prompt(prompt) == prompt
    assert store.prompt(prompt.id) == prompt


def test_times_come_back_in_utc(store):
    prompt = store.add_prompt(a_prompt(created_at=START.astimezone(timezone(timedelta(hours=5)))))
    assert store.prompt(prompt.id).created_at == START
    assert store.prompt(prompt.id).created_at.tzinfo is timezone.utc


def test_a_time_without_timezone_is_refused(store):
    with pytest.raises(InputError, match="lacks a timezone"):
        store.add_prompt(a_prompt(created_at=START.replace(tzinfo=None)))


def test_a_prompt_added_twice_is_there_once(store):
    prompt = store.add_prompt(a_prompt("first"))
    assert store.add_prompt(a_prompt("second", id=prompt.id)) == prompt
    assert store.prompts(limit=10) == [prompt]


def test_an_unknown_prompt_is_one_line_with_a_way_on(store):
    with pytest.raises(RecordNotFoundError) as caught:
        store.prompt("ps_x")
    assert str(caught.value) == "there is no prompt 'ps_x'; `cosmos prompts list` shows what is there"


def test_a_prompt_needs_its_parent(store):
    with pytest.raises(RecordNotFoundError, match="no prompt 'ps_gone'"):
        store.add_prompt(a_prompt(parent_id="ps_gone"))
    assert store.prompts(limit=10) == []


def test_pages_join_to_all_prompts_newest_first(store):
    for n in range(7):
        store.add_prompt(a_prompt(str(n), id=f"ps_{n}"))
    pages = [store.prompts(limit=3)]
    while pages[-1]:
        pages.append(store.prompts(limit=3, before=pages[-1][-1].id))
    assert [texts(page) for page in pages] == [["6", "5", "4"], ["3", "2", "1"], ["0"], []]


def test_ids_sort_byte_by_byte(store):
    for name in ("ps_b", "ps_B", "ps_0", "psa", "ps_ä"):
        store.add_prompt(a_prompt(name, id=name))
    assert texts(store.prompts(limit=10)) == ["psa", "ps_ä", "ps_b", "ps_B", "ps_0"]


def test_a_page_holds_at_least_one(store):
    with pytest.raises(InputError, match="at least 1"):
        store.prompts(limit=0)


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("RED", ["a red car"]),
        ("%", ["100% rain"]),
        ("_", ["snake_case"]),
        ("/", ["either/or"]),
        ("\\", ["back\\slash"]),
        ("élan", ["ÉLAN"]),
        ("berlin", ["street"]),
        ("'; --", []),
        ("a%r", []),
    ],
)
def test_search_finds_parts_of_text_and_name(store, search, found):
    for text in ("a red car", "100% rain", "snake_case", "either/or", "back\\slash", "ÉLAN"):
        store.add_prompt(a_prompt(text))
    store.add_prompt(a_prompt("street", name="Berlin 2"))
    assert texts(store.prompts(limit=10, search=search)) == found


@pytest.mark.parametrize("bad", ["NUL \0 inside", "half \ud800 a pair"])
@pytest.mark.parametrize("field", ["text", "negative_text", "name", "inputs"])
def test_text_that_not_every_database_keeps_is_refused(store, field, bad):
    value = {"video": Path("/videos", bad)} if field == "inputs" else bad
    with pytest.raises(InputError, match="cannot be stored"):
        store.add_prompt(a_prompt(**{"text": "fine", field: value}))
    assert store.prompts(limit=10) == []


def test_a_search_or_an_id_with_a_nul_is_refused(store):
    for ask in (lambda: store.prompt("ps_\0"), lambda: store.prompts(limit=1, search="\0"), lambda: store.run("\0")):
        with pytest.raises(InputError, match="NUL"):
            ask()
