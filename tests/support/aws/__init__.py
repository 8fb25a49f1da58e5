"""AWS as far as `ray up` sees it: calls that are recorded, policies that are checked."""
