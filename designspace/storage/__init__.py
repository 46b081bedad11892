"""Files that are whole or not there: the cache, lines of results."""
