import YAML

/// Objects in YAML, which the API takes as well as JSON.
enum YAMLDocuments {
    /// The JSON text of each document.
    static func json(_ bytes: [UInt8]) throws -> [[UInt8]] {
        var documents: [[UInt8]] = []
        try bytes.withUnsafeBufferPointer { buffer in
            try YAMLConverter.forEachDocument(of: buffer) { json, _ in documents.append(json) }
        }
        return documents
    }
}
