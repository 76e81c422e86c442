"""Where the parts of a node lay down what they want done, in order. Sans-IO."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from eagle_node.base.ids import NodeId
from eagle_node.consensus.events import Effect, Noted, Send
from eagle_node.consensus.messages import Message
from eagle_node.runtime.sockets import Address


class Outbox:
    """Effects of one event; a message for ``me`` is not sent, but to be received next."""

    def __init__(self, me: NodeId) -> None:
        self._me = me
        self._effects: list[Effect] = []
        self._inner: list[Message] = []

    def add(self, *effects: Effect) -> None:
        """More to do, after all that is there."""
        self._effects.extend(effects)

    def note(self, text: str) -> None:
        """Something for the log."""
        self.add(Noted(text=text))

    def send(self, target: NodeId, message: Message, address: Address | None = None) -> None:
        """A message for a node; without its address, only over a connection that is there."""
        if target == self._me:
            self._inner.append(message)
            return
        self.add(Send(target=target, address=address, message=message))

    def post(self, letters: Iterable[Send]) -> None:
        """Several messages."""
        for letter in letters:
            self.send(letter.target, letter.message, letter.address)

    def next_inner(self) -> Message | None:
        """The oldest message of this node to itself; None: there is none."""
        return self._inner.pop(0) if self._inner else None

    def drain(self) -> Sequence[Effect]:
        """All effects, once."""
        assert not self._inner
        effects, self._effects = self._effects, []
        return effects

    def check(self) -> None:
        """Assert that nothing has been left."""
        assert not self._inner
        assert not self._effects
