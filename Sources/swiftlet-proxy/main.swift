print("swiftlet-proxy")
