"""What stands between a dashboard and the browser's page that shows it."""

from __future__ import annotations

import os

from textual.drivers.web_driver import WebDriver


class PageDriver(WebDriver):
    """textual's, for a server that may be gone without a word: then the process ends."""

    def run_input_thread(self) -> None:
        """Take the page's input. Its end, unless the dashboard has ended it, is the server's end.

        The process ends at once: it has nobody to show anything, and nothing to put in order; each
        try to draw something would fail.
        """
        super().run_input_thread()
        if not self.exit_event.is_set():
            os._exit(os.EX_OK)
