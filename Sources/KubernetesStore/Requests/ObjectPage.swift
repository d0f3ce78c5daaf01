import ClusterClient
import JSON

/// One page of a list. Its objects are taken one after the other, so that only one of them is in memory as a tree.
struct ObjectPage {
    private(set) var continuation = ""
    private(set) var resourceVersion = ""

    /// - Parameter path: what was listed, for messages.
    init(
        _ text: Span<UInt8>,
        of path: String,
        _ each: (JSONValue) throws(DatastoreError) -> Void
    ) throws(DatastoreError) {
        var failure: DatastoreError?
        var continuation = ""
        var resourceVersion = ""
        do throws(JSONReader.Failure) {
            try JSONReader.read(text) { (reader) throws(JSONReader.Failure) in
                try reader.object { (name, reader) throws(JSONReader.Failure) in
                    switch name {
                    case "metadata":
                        guard case .object(let metadata) = try reader.value() else { return }
                        continuation = metadata.string("continue") ?? ""
                        resourceVersion = metadata.string("resourceVersion") ?? ""
                    case "items":
                        guard !reader.null() else { return }
                        try reader.array { (reader) throws(JSONReader.Failure) in
                            let value = try reader.value()
                            guard failure == nil else { return }
                            do throws(DatastoreError) {
                                try each(value)
                            } catch {
                                failure = error
                            }
                        }
                    default: try reader.skip()
                    }
                }
            }
        } catch {
            throw DatastoreError(.unavailable, "the list of \(path) that the API server sent is no JSON: \(error)")
        }
        if let failure { throw failure }
        self.continuation = continuation
        self.resourceVersion = resourceVersion
    }
}
