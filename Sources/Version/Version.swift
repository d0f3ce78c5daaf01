// Version: which release of Swiftlet the programs are; said once, as they are released together.

/// The version of Swiftlet.
public let swiftletVersion = "0.1.0"
