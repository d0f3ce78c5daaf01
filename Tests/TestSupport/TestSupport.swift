// TestSupport: what tests of several modules share.
