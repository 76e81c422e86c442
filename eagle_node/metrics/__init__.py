"""Every instrument of the node in one place, by Prometheus conventions.

`instruments` has them, `negotiation` chooses the exposition that a scraper gets, `reference` makes
the documentation's table.
"""
