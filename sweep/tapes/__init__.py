"""From a source to a tape and a book in the object store."""
