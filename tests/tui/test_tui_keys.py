"""What keys, clicks and actions do, with a real control API behind them."""

from __future__ import annotations

from dataclasses import replace

from eagle_tui.grid import Grid
from eagle_tui.pages.page import Page

from eagle_node.api.problems import Refusal
from eagle_node.api.schema import Event, PreheatRequest, SettingChange, Status
from tests.tui.fleet import Fleet
from tests.tui.stage import Clock, Stage, stage


def grid(ready: Stage) -> Grid[object]:
    """That of the page in sight."""
    return ready.app.page.query_one(Grid)


def page(ready: Stage) -> str:
    """The name of the page in sight."""
    shown: Page = ready.app.page
    return str(shown.id)


async def test_digits_brackets_and_clicks_change_the_page() -> None:
    """Each page has its digit; brackets and tab go through them; its name can be clicked."""
    async with stage() as ready:
        await ready.press("3")
        assert page(ready) == "transfers"
        await ready.press("right_square_bracket")
        assert page(ready) == "blobs"
        await ready.press("left_square_bracket", "left_square_bracket")
        assert page(ready) == "cluster"
        await ready.pilot.click("#pages-line", offset=(4, 0))
        await ready.shown()
        assert page(ready) == "node"


async def test_a_search_narrows_members_and_escape_ends_it() -> None:
    """Words must all be there; the count says how many of how many."""
    async with stage() as ready:
        await ready.page("2")
        await ready.press("slash", *"suspect")
        assert len(grid(ready).rows) == 1
        assert "1 of 12 members" in ready.text()
        await ready.press("escape")
        assert len(grid(ready).rows) == 12


async def test_the_cursor_stays_on_its_row() -> None:
    """Rows that come or go do not move what a key would act on."""
    async with stage() as ready:
        await ready.page("2")
        await ready.press("down", "down", "down")
        before = grid(ready).current
        ready.fleet.members[5:6] = []
        ready.app.feed.hurry()
        await ready.until(lambda: len(grid(ready).rows) == 11)
        assert grid(ready).current == before


async def test_headings_sort() -> None:
    """A click on a heading sorts by it, a second one turns it round."""
    async with stage() as ready:
        await ready.page("2")
        await ready.pilot.click("#members", offset=(13, 1))
        await ready.shown()
        names = [getattr(row, "name", "") for row in grid(ready).rows]
        assert names == sorted(names)
        await ready.pilot.click("#members", offset=(13, 1))
        await ready.shown()
        assert [getattr(row, "name", "") for row in grid(ready).rows] == names[::-1]


async def test_a_blob_is_evicted_once_that_is_confirmed() -> None:
    """No answers no; yes removes the blob at the node, and from the table."""
    async with stage() as ready:
        await ready.page("4")
        await ready.press("down", "e")
        assert "Evict this blob?" in ready.text()
        await ready.press("enter")
        assert ready.fleet.asked == []
        await ready.press("e", "y")
        await ready.until(lambda: len(grid(ready).rows) == 39)
        assert [str(each).count("evict") for each in ready.fleet.asked] == [1]


async def test_pinning_shows_at_once_and_a_refusal_is_told() -> None:
    """A pinned blob cannot be evicted: the node's words reach the screen."""
    async with stage() as ready:
        await ready.page("4")
        await ready.press("down", "p")
        await ready.until(lambda: ready.fleet.asked != [] and "⚑" in row_text(ready))
        await ready.press("e", "y")
        await ready.until(lambda: "unpin it first" in ready.text())


def row_text(ready: Stage) -> str:
    """The line under the cursor."""
    return next((line for line in ready.text().splitlines() if "│▌" in line), "")


async def test_enter_tells_all_of_a_row() -> None:
    """What a column cuts off is told whole: a digest, an id, a long line; escape closes it."""
    async with stage() as ready:
        for key, told in (
            ("2", ready.fleet.members[9].id),
            ("3", ready.fleet.transfers_now[0].digest[:40]),
            ("4", ready.fleet.blobs_now[-1].digest[:40]),
            ("5", "no space left: 120 MiB free, 240"),
            ("6", "setting-changed"),
        ):
            await ready.page(key)
            await ready.press("enter")
            assert ready.app.screen.is_modal
            assert told in ready.text(), key
            await ready.press("escape")
            assert not ready.app.screen.is_modal


async def test_details_of_a_hostile_line_move_no_cursor() -> None:
    """Log lines hold what strangers sent: none of it reaches the terminal but as text."""
    async with stage() as ready:
        await ready.page("6")
        text = "GET /\x1b[2J\x1b]0;title\x07 200"
        ready.server.log.publish(Event(id="", time="", kind="hostile", subject="s", text=text))
        await ready.until(lambda: "hostile" in ready.text())
        await ready.press("enter")
        assert "[2J" in ready.text()
        assert not {"\x1b", "\x07"} & set(ready.text())


async def test_nodes_of_one_name_are_told_apart() -> None:
    """The beginning of the id follows a name that several nodes have."""
    fleet = Fleet()
    fleet.members[5] = replace(fleet.members[5], name=fleet.members[4].name)
    async with stage(fleet, size=(120, 40)) as ready:
        await ready.page("2")
        for member in fleet.members[4:6]:
            assert f"{member.name}·{member.id[:4]}" in ready.text()


async def test_the_node_searches_blobs() -> None:
    """It knows them all, and the dashboard a page of them."""
    async with stage(Fleet(blobs=900)) as ready:
        await ready.page("4")
        assert "the first 500 are shown" in ready.text()
        await ready.press("slash", *"postgres")
        await ready.until(lambda: ready.app.world.blobs.total == 150)
        assert "150 blobs with 'postgres'" in ready.text()


async def test_a_setting_is_changed() -> None:
    """Enter asks for the value; a wrong one is the node's error, a right one is shown."""
    async with stage() as ready:
        await ready.page("7")
        await ready.press("enter", "ctrl+u", *"soon", "enter")
        await ready.until(lambda: "is not a size" in ready.text())
        await ready.press("enter", "ctrl+u", *"20MB", "enter")
        await ready.until(lambda: "20MB" in row_text(ready))
        assert ready.fleet.asked[-1] == SettingChange(key="upload-limit", value="20MB")


async def test_a_preheat_job_is_started_and_cancelled() -> None:
    """n asks for image, nodes and platform; x asks whether to stop it."""
    async with stage() as ready:
        await ready.page("5")
        await ready.press("n", *"nginx", "enter", "enter", "enter")
        await ready.until(lambda: len(grid(ready).rows) == 3)
        assert ready.fleet.asked == [PreheatRequest(image="nginx", nodes="all", platform="")]
        await ready.press("home", "x", "y")
        await ready.until(lambda: "cancelled" in row_text(ready))


async def test_events_follow_until_somebody_looks_up() -> None:
    """New lines push the table up, but not under the eyes of a reader."""
    async with stage() as ready:
        await ready.page("6")
        for n in range(30):
            ready.server.log.publish(
                Event(id="", time="", kind="blob-added", subject=str(n), text=f"blob {n}")
            )
        await ready.until(lambda: "blob 29" in ready.text())
        await ready.press("up")
        assert "f follows" in ready.text()
        ready.server.log.publish(
            Event(id="", time="", kind="blob-added", subject="x", text="the newest")
        )
        await ready.until(lambda: ready.app.world.events[-1].text == "the newest")
        assert "the newest" not in ready.text()
        await ready.press("f")
        assert "the newest" in ready.text()


async def test_levels_hide_what_is_less_severe() -> None:
    """From info to warnings to errors to everything."""
    async with stage() as ready:
        await ready.page("6")
        assert len(grid(ready).rows) == 10
        await ready.press("l")
        assert len(grid(ready).rows) == 3
        await ready.press("l", "l")
        assert len(grid(ready).rows) == 11


async def test_the_palette_finds_a_member() -> None:
    """A few letters lead to its row on the cluster's page."""
    async with stage(Fleet(members=200)) as ready:
        await ready.pilot.press("ctrl+p", *"0123")
        await ready.until(lambda: "member eu-1-web-0123" in ready.text())
        await ready.press("enter")
        await ready.until(lambda: page(ready) == "cluster" and "eu-1-web-0123" in row_text(ready))


async def test_light_and_dark() -> None:
    """t changes the palette, and back."""
    async with stage() as ready:
        await ready.press("t")
        assert ready.app.theme == "eagle-light"
        await ready.press("t")
        assert ready.app.theme == "eagle-dark"


async def test_a_lost_node_is_told_and_found_again() -> None:
    """The last picture stays, with its age; when the node is back, so is everything."""
    async with stage() as ready:
        await ready.server.stop()
        ready.app.feed.hurry()
        await ready.until(lambda: bool(ready.app.world.lost_since))
        ready.clock.seconds += 75
        await ready.shown()
        assert "not reachable since 09:30:00: what you see is 1 min 15 s old" in ready.text()
        assert "92 %" in ready.text()
        await ready.server.start()
        ready.app.feed.hurry()
        await ready.until(lambda: not ready.app.world.lost_since)
        assert "● live" in ready.text()
        assert "not reachable" not in ready.text()


async def test_a_node_without_clients_says_what_to_do() -> None:
    """No saving is told before anything was pulled, and a node that is not ready says why."""
    fleet = Fleet()
    fleet.pulled, fleet.reasons = False, ("the disk is full",)
    async with stage(fleet) as ready:
        assert "No client has pulled through this node yet." in ready.text()
        assert "▲ not ready" in ready.text()
        assert "the disk is full" in ready.text()


class Overloaded(Fleet):
    """A node that answers too late while it is told to."""

    late: Clock | None = None

    async def status(self) -> Status:
        """After a minute, and without an answer, if ``late``."""
        if self.late is not None:
            self.late.seconds += 60
            raise Refusal("overloaded", status=503)
        return await super().status()


async def test_a_node_that_answered_too_late_is_asked_again_soon() -> None:
    """However long a question took: once the node is well again, the screen is live in seconds."""
    fleet = Overloaded()
    async with stage(fleet) as ready:
        fleet.late = ready.clock
        await ready.until(lambda: bool(ready.app.world.lost_since))
        fleet.late = None
        await ready.until(lambda: not ready.app.world.lost_since)
        assert "● live" in ready.text()
