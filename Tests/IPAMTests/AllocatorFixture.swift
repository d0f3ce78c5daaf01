import ClusterClient
import TestSupport
import Testing

/// A store with transactions, one without, and the real one.
enum StoreKind: String, CaseIterable, CustomTestStringConvertible {
    case transactional
    case ordered
    case local

    var testDescription: String { rawValue }
}

extension Fixture {
    init(_ kind: StoreKind = .transactional) throws {
        switch kind {
        case .transactional: self.init(MemoryDatastore())
        case .ordered: self.init(MemoryDatastore(commitsAtomically: false))
        case .local:
            let directory = try TemporaryDirectory()
            self.init(LocalDatastore(dataDirectory: directory.path), keeping: directory)
        }
    }
}
