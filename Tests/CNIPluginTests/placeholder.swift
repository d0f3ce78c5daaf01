@testable import CNIPlugin
