"""Values that every floor shares: digests, ids, sizes, byte ranges and the error family. No IO."""
