@testable import CNI
