"""`make kafka`: one broker until ctrl-C."""

import sys

from tools.kafka.cluster import main

sys.exit(main())
