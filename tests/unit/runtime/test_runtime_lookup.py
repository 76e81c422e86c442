"""Host names: who is asked, how long, and what is told when nobody answers."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator, Sequence

import pytest

from eagle_node.runtime.lookup import (
    KEPT_S,
    Found,
    LookUpFailed,
    NoServerAnswers,
    Resolver,
    servers,
)
from tests.support.waiting import until

HERE: Found = (socket.AF_INET, ("192.0.2.1", 0))
SHORT_S = 0.05


class Server:
    """Answers when it is told to, and counts the questions."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.asked: list[str] = []
        self.error: OSError | None = None

    def ask(self, host: str) -> Sequence[Found]:
        """As ``getaddrinfo`` does: blocks."""
        self.asked.append(host)
        assert self.go.wait(60)
        if self.error is not None:
            raise self.error
        return [HERE]


@pytest.fixture
def server() -> Iterator[Server]:
    """A silent one; its threads end with the test."""
    made = Server()
    yield made
    made.go.set()


async def test_a_name_is_looked_up_once_for_all_who_ask(server: Server) -> None:
    """And anew for those who ask later."""
    resolver = Resolver(ask=server.ask)
    asking = [asyncio.create_task(resolver.addresses("r.test")) for _ in range(3)]
    await asyncio.sleep(0)
    server.go.set()
    assert await asyncio.gather(*asking) == [[HERE]] * 3
    assert server.asked == ["r.test"]
    assert await resolver.addresses("r.test") == [HERE]
    assert len(server.asked) == 2


@pytest.mark.parametrize("literal", ["192.0.2.7", "2001:db8::7", "::1"])
async def test_an_address_needs_nobody(server: Server, literal: str) -> None:
    """It is its own."""
    [(_, where)] = await Resolver(ask=server.ask).addresses(literal)
    assert where[0] == literal
    assert server.asked == []


async def test_who_asks_is_not_kept_waiting(server: Server) -> None:
    """The error names the host and who does not answer; a late answer serves the next."""
    resolver = Resolver(look_up_s=SHORT_S, ask=server.ask)
    for _ in range(2):
        with pytest.raises(NoServerAnswers) as caught:
            await resolver.addresses("r.test")
    told = str(caught.value)
    assert told == f"host name r.test cannot be looked up: no answer from {servers()}"
    assert "/etc/resolv.conf" in told
    server.go.set()

    async def has_ended() -> bool:
        return all(each.name != "look-up-r.test" for each in threading.enumerate())

    await until(has_ended, what="the late answer")
    await asyncio.sleep(0)
    assert await resolver.addresses("r.test") == [HERE]
    assert server.asked == ["r.test"]


async def test_a_late_answer_is_not_kept_for_ever(server: Server) -> None:
    """Addresses change."""
    now = 10.0
    resolver = Resolver(look_up_s=SHORT_S, ask=server.ask, clock=lambda: now)
    with pytest.raises(NoServerAnswers):
        await resolver.addresses("r.test")
    server.go.set()
    assert await resolver.addresses("other.test") == [HERE]
    now += KEPT_S
    while len(server.asked) < 3:
        assert await resolver.addresses("r.test") == [HERE]


async def test_look_ups_are_bounded(server: Server) -> None:
    """Each is a thread that cannot be stopped."""
    resolver = Resolver(look_up_s=SHORT_S, ask=server.ask)
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(_error(resolver, f"r{n}.test")) for n in range(50)]
    assert sum("others still wait" in str(each.result()) for each in asking) == 50 - 32

    async def have_begun() -> bool:
        return len(server.asked) == 32

    await until(have_begun, what="32 questions")


@pytest.mark.parametrize(
    ("number", "kind", "said"),
    [
        (socket.EAI_NONAME, LookUpFailed, "host name r.test does not resolve (DNS server"),
        (socket.EAI_AGAIN, NoServerAnswers, "cannot be looked up: no answer from DNS server"),
    ],
    ids=["absent", "unanswered"],
)
async def test_absence_is_told_from_silence(
    server: Server, number: int, kind: type[LookUpFailed], said: str
) -> None:
    """One is certain, after the other it is worth asking again."""
    server.error = socket.gaierror(number, "why")
    server.go.set()
    error = await _error(Resolver(ask=server.ask), "r.test")
    assert type(error) is kind
    assert said in str(error).replace("any DNS server", "DNS server")


async def test_what_is_no_name_is_not_found() -> None:
    """A label of 64 characters cannot be asked for."""
    error = await _error(Resolver(), f"{'a' * 64}.test")
    assert type(error) is LookUpFailed


async def _error(resolver: Resolver, host: str) -> LookUpFailed:
    with pytest.raises(LookUpFailed) as caught:
        await resolver.addresses(host)
    return caught.value
