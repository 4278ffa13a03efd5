"""What the proxy uses of aiohttp beyond its documentation is there, and is what it was taken for."""

import inspect

import aiohttp
import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpRequestParser, RawRequestMessage
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler, _ErrInfo

USED = "_messages _message_tail _upgraded _parser _buffer_paused _msg_queue_resume_size _reading_paused"


def test_the_version_is_the_one_this_was_written_for() -> None:
    assert aiohttp.__version__.startswith("3.14."), "look through docs/decisions/0004 before a new one is allowed"


def test_the_parser_is_the_strict_one() -> None:
    assert HttpRequestParser.__module__ == "aiohttp._http_parser"
    assert RawRequestMessage.__module__ == "aiohttp._http_parser"


@pytest.mark.parametrize("name", [*USED.split(), "_close", "_force_close"])
def test_a_name_that_is_used_is_there(name: str) -> None:
    slots = {slot for part in RequestHandler.__mro__ for slot in getattr(part, "__slots__", ())}
    assert name in slots


@pytest.mark.parametrize("name", ["_resume_reading_if_drained", "_resume_reading_for_buffer", "start", "force_close"])
def test_a_step_that_is_used_is_there(name: str) -> None:
    assert callable(getattr(RequestHandler, name))
    assert issubclass(RequestHandler, BaseProtocol)


@pytest.mark.parametrize("name", ["message_consumed", "set_upgraded", "feed_data"])
def test_a_step_of_the_parser_that_is_used_is_there(name: str) -> None:
    assert callable(getattr(HttpRequestParser, name))


def test_what_is_malformed_comes_as_an_entry_of_its_own_with_its_error() -> None:
    assert {"status", "exc", "message"} <= set(_ErrInfo.__annotations__)
    assert LineTooLong("x", 7).args[1] == 7


def test_a_connection_s_task_is_its_start_and_nothing_else_waits_for_it() -> None:
    source = inspect.getsource(RequestHandler.connection_made)
    assert source.count("self.start()") == source.count("create_task(self.start()") + source.count("Task(self.start()")
