"""From a source to the tape and the book in the object store."""
