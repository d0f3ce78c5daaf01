print("swiftletctl")
