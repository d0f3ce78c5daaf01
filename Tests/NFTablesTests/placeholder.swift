@testable import NFTables
