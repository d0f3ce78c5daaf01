// CNIPlugin
