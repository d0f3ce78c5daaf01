// TestAPIServer
