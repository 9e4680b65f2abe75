"""How a version appears in a workspace, and the probe that proves what that is worth."""
