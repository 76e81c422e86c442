"""What is verified, offered and withdrawn, and when."""

from __future__ import annotations

import pytest

from eagle_node.base.digest import Digest, digest_of
from eagle_node.blobs.lent import FileIdentity
from eagle_node.lending import policy as p

A, B, C = (digest_of(name.encode()) for name in "abc")


def file(inode: int, *, modified: int = 0, changed: int = 0) -> FileIdentity:
    """Of a file of 10 bytes."""
    return FileIdentity(
        device=1, inode=inode, size=10, modified_ns=modified, changed_ns=changed or modified
    )


class Told:
    """A shelf, its invariants checked after every event."""

    def __init__(self) -> None:
        self.shelf = p.Shelf()
        self.now = 100.0

    def __call__(self, event: p.Event) -> list[p.Effect]:
        """What is to be done about ``event``."""
        effects = [*self.shelf.handle(event, self.now)]
        self.shelf.check()
        return effects

    def verified(self, digest: Digest, identity: FileIdentity) -> list[p.Effect]:
        """A file has been read, and is what its name says."""
        return self(p.Checked(digest=digest, identity=identity, right=True))

    def all_verified(self, files: dict[Digest, FileIdentity]) -> None:
        """Files have been read, in whatever order they were to be."""
        while reading := [d for d in files if self.shelf.state(d) is p.State.CHECKING]:
            self.verified(reading[0], files[reading[0]])


@pytest.fixture
def told() -> Told:
    """An empty shelf."""
    return Told()


def test_a_file_is_offered_only_once_it_was_read(told: Told) -> None:
    """A name alone is never trusted."""
    assert told(p.Listed(files={A: file(1)})) == [
        p.Check(digest=A, identity=file(1), hurried=False)
    ]
    assert told.shelf.state(A) is p.State.CHECKING
    assert told.verified(A, file(1)) == [p.Offer(digest=A, identity=file(1))]
    assert told.shelf.state(A) is p.State.OFFERED


def test_wrong_bytes_are_never_offered_nor_read_again(told: Told) -> None:
    """Until the file is another one."""
    told(p.Listed(files={A: file(1)}))
    assert told(p.Checked(digest=A, identity=file(1), right=False)) == []
    assert told(p.Listed(files={A: file(1)})) == told(p.Ticked()) == told(p.Asked(digest=A)) == []
    assert told(p.Listed(files={A: file(2)})) == [
        p.Check(digest=A, identity=file(2), hurried=False)
    ]


def test_what_is_removed_is_withdrawn(told: Told) -> None:
    """By a look that does not find it, or by whoever could not use it."""
    told(p.Listed(files={A: file(1), B: file(2)}))
    told.all_verified({A: file(1), B: file(2)})
    assert told(p.Listed(files={B: file(2)})) == [p.Withdraw(digest=A)]
    assert told(p.Altered(digest=B)) == [p.Withdraw(digest=B)]
    assert told.shelf.state(A) is told.shelf.state(B) is None


def test_a_file_that_changed_is_withdrawn_and_read_anew(told: Told) -> None:
    """Also when only the time of its last change tells."""
    told(p.Listed(files={A: file(1, changed=5)}))
    told.verified(A, file(1, changed=5))
    after = file(1, changed=6)
    assert told(p.Listed(files={A: after})) == [
        p.Withdraw(digest=A),
        p.Check(digest=A, identity=after, hurried=False),
    ]


def test_what_was_read_of_a_file_that_was_replaced_meanwhile_is_void(told: Told) -> None:
    """The new file is read from its start, once the reading of the old one has ended."""
    told(p.Listed(files={A: file(1)}))
    assert told(p.Listed(files={A: file(2)})) == []
    assert told.verified(A, file(1)) == [p.Check(digest=A, identity=file(2), hurried=False)]


def test_one_file_is_read_at_a_time_copies_first_then_the_newest(told: Told) -> None:
    """What the cache could drop saves room at once."""
    told(p.Copied(digest=A))
    files = {A: file(1, modified=1), B: file(2, modified=2), C: file(3, modified=3)}
    order = []
    effects = told(p.Listed(files=files))
    while effects:
        check = effects[-1]
        assert isinstance(check, p.Check)
        order.append(check.digest)
        effects = [
            each
            for each in told.verified(check.digest, check.identity)
            if isinstance(each, p.Check)
        ]
    assert order == [A, C, B]


def test_what_somebody_waits_for_is_read_beside_the_others(told: Told) -> None:
    """A few at a time; the rest of those that are waited for, before all others."""
    files = {A: file(1, modified=9), B: file(2, modified=2), C: file(3, modified=3)}
    told(p.Listed(files=files))
    assert told.shelf.state(A) is p.State.CHECKING
    assert told(p.Asked(digest=B)) == [p.Check(digest=B, identity=files[B], hurried=True)]
    assert told(p.Asked(digest=C)) == []
    assert told.shelf.is_hurried(B)
    assert told.shelf.is_hurried(C)
    assert told.verified(B, files[B]) == [
        p.Offer(digest=B, identity=files[B]),
        p.Check(digest=C, identity=files[C], hurried=True),
    ]
    assert not told.shelf.is_hurried(B)


def test_a_file_that_is_being_read_in_peace_is_hurried_when_asked_for(told: Told) -> None:
    """It is not read twice."""
    told(p.Listed(files={A: file(1)}))
    assert told(p.Asked(digest=A)) == []
    assert told.shelf.is_hurried(A)
    told.verified(A, file(1))
    assert not told.shelf.is_hurried(A)


def test_nobody_waits_for_what_cannot_be_read(told: Told) -> None:
    """It is tried again after a while, or when somebody asks."""
    told(p.Listed(files={A: file(1)}))
    told(p.Asked(digest=A))
    assert told(p.Unread(digest=A, changed=False)) == []
    assert not told.shelf.is_hurried(A)
    assert told(p.Ticked()) == []
    assert told(p.Asked(digest=A)) == [p.Check(digest=A, identity=file(1), hurried=True)]
    told(p.Unread(digest=A, changed=False))
    told.now += p.RETRY_S
    assert told(p.Ticked()) == [p.Check(digest=A, identity=file(1), hurried=False)]


def test_a_file_that_changed_while_it_was_read_is_found_anew(told: Told) -> None:
    """containerd sets rights and times of a file just after it has named it."""
    told(p.Listed(files={A: file(1, changed=1)}))
    assert told(p.Unread(digest=A, changed=True)) == []
    assert told.shelf.state(A) is None
    after = file(1, changed=2)
    assert told(p.Listed(files={A: after})) == [p.Check(digest=A, identity=after, hurried=False)]


def test_what_a_former_run_verified_is_not_read_again(told: Told) -> None:
    """If it is the same file still."""
    told(p.Remembered(files={A: file(1), B: file(2)}))
    assert told(p.Listed(files={A: file(1), B: file(3)})) == [
        p.Offer(digest=A, identity=file(1)),
        p.Check(digest=B, identity=file(3), hurried=False),
    ]


def test_a_store_that_is_lost_and_found_is_not_read_again(told: Told) -> None:
    """Nothing of it is offered meanwhile."""
    told(p.Listed(files={A: file(1)}))
    told.verified(A, file(1))
    assert told(p.Lost()) == [p.Withdraw(digest=A, kept=True)]
    assert told.shelf.state(A) is None
    assert told(p.Listed(files={A: file(1)})) == [p.Offer(digest=A, identity=file(1))]


def test_counts_tell_how_far_it_is(told: Told) -> None:
    """By state, none left out."""
    told(p.Listed(files={A: file(1), B: file(2)}))
    assert told.shelf.counts() == {
        p.State.FOUND: 1,
        p.State.CHECKING: 1,
        p.State.OFFERED: 0,
        p.State.WRONG: 0,
    }
