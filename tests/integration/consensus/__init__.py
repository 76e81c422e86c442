"""Consensus services on loopback."""
