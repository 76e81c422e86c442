"""The pages: which views they show, and what their keys do."""
