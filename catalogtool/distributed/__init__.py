"""The only code that knows Ray: where training and inference are placed, and how they fail."""

import os

# Without this, a thread that outlives its cluster would start another one behind our back.
os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")
