import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sample_app.envelope import BrokenBodyError, Sender, seal, unseal

SENDER = Sender(version="v1", replica="app-1.1")
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
request_ids = st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True)


@given(data=any_json, request_id=request_ids)
def test_what_was_sealed_is_what_is_found(data: Any, request_id: str) -> None:
    opened = unseal(seal(request_id=request_id, sender=SENDER, data=data), request_id=request_id)

    assert (request_id, SENDER, data, None) == (
        opened.request_id,
        opened.sender,
        opened.data,
        opened.error,
    )


@given(data=any_json)
def test_a_body_cut_anywhere_is_broken(data: Any) -> None:
    body = seal(request_id="r-1", sender=SENDER, data=data)

    for length in range(len(body)):
        with pytest.raises(BrokenBodyError):
            unseal(body[:length], request_id="r-1")


@pytest.mark.parametrize("padding", [b" ", b"\n", b"x", b'"end":"."}'])
def test_a_padded_body_is_broken(padding: bytes) -> None:
    body = seal(request_id="r-1", sender=SENDER, data={})

    for padded in (body + padding, padding + body, body[:1] + padding + body[1:]):
        with pytest.raises(BrokenBodyError):
            unseal(padded, request_id="r-1")


def test_another_requests_answer_is_broken() -> None:
    with pytest.raises(BrokenBodyError, match="another request, r-2"):
        unseal(seal(request_id="r-2", sender=SENDER, data={}), request_id="r-1")


def test_the_end_of_one_answer_on_the_start_of_another_is_broken() -> None:
    first = seal(request_id="r-1", sender=SENDER, data={"a": "x" * 40})
    second = seal(request_id="r-1", sender=SENDER, data={"b": 1})

    for cut in range(1, len(first)):
        with pytest.raises(BrokenBodyError):
            unseal(first[:cut] + second, request_id="r-1")


def test_the_keys_stand_in_the_order_that_the_wire_says() -> None:
    body = seal(request_id="r-1", sender=SENDER, error={"code": "not-found", "message": "no such parcel"})

    assert list(json.loads(body)) == ["request_id", "version", "replica", "error", "length", "end"]
    assert f"{len(body):08d}" == json.loads(body)["length"]
    assert body.endswith(b'"end":"."}')


@pytest.mark.parametrize("body", [b"", b'"end":"."}', b'[{"end":"."}]', b'{"length":"00000027","end":"."}'])
def test_what_is_no_answer_of_the_app_is_broken(body: bytes) -> None:
    with pytest.raises(BrokenBodyError):
        unseal(body, request_id="r-1")
