"""The dashboard: a node and its cluster, live, in a terminal or a browser.

It knows the control API's client and schema, and nothing else of the node.

What is shown is made in two steps, so that all of it can be tested without a terminal. Functions in
`views` turn documents into lines of `paint` (texts with a tone); `canvas` and `grid` put lines on
the screen in the colours that `palette` gives each tone. A grid asks for the lines of its visible
rows only, so that a thousand members cost what forty do.

    feed ──▶ world ──▶ views ──▶ canvas, grid ──▶ screen
      asks     knows     tell      draw

`world` is what is known and how old it is; `feed` asks the node and follows its events; `app` lets
the pages show the world again, at most a few times a second however many events there are. `pages`
hold what a key does, `bars` names them; `dialogs` ask before anything is changed; `commands` is
what the palette finds; `columns` fits a grid's, `chart` draws areas, `formats` says numbers;
`styles` is the style sheet; `web` serves it to a browser, `page_driver` is its end of that.
"""
