import FoundationEssentials
import KubernetesAPI
import YAML

/// The content of one manifest file: all of its documents, or the reason why it cannot be used.
struct Manifest {
    /// In the order of the file.
    private(set) var objects: [KubernetesObject] = []
    /// The kinds that were passed over, as `apps/v1 Deployment`.
    private(set) var ignored: Set<String> = []

    /// Reads YAML, of which JSON is a part. What starts as a JSON object goes straight to the JSON decoder, which is
    /// faster.
    init(_ bytes: [UInt8], pool: StringPool) throws(ManifestError) {
        try Self.checkEncoding(bytes)
        let bytes = bytes.starts(with: [0xef, 0xbb, 0xbf]) ? Array(bytes.dropFirst(3)) : bytes
        let decoder = JSONDecoder()
        if let key = StringPool.key { decoder.userInfo[key] = pool }

        if bytes.first(where: { !Self.isSpace($0) }) == UInt8(ascii: "{") {
            do {
                try add(Self.decode(bytes, decoder))
                return
            } catch DecodingError.dataCorrupted(let context) where context.codingPath.isEmpty {
                // No JSON: several documents, or YAML that starts with a brace, or a mistake that the YAML parser
                // gives a line for.
            } catch {
                throw Self.located(FieldError(error), 0, in: bytes)
            }
        }
        var document = 0
        do {
            try bytes.withUnsafeBufferPointer { buffer in
                try YAMLConverter.forEachDocument(of: buffer) { json, line in
                    do {
                        try add(Self.decode(json, decoder))
                    } catch let error as DecodingError {
                        let fault = FieldError(error)
                        let located = Self.located(fault, document, in: bytes)
                        throw ManifestError(line: located.line ?? line, reason: located.reason)
                    }
                    document += 1
                }
            }
        } catch let error as ManifestError {
            throw error
        } catch let error as YAMLError {
            throw ManifestError(line: error.line, reason: error.reason)
        } catch {
            throw ManifestError(line: nil, reason: "\(error)")
        }
    }

    private static func decode(_ json: [UInt8], _ decoder: JSONDecoder) throws -> ManifestDocument {
        try json.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else { return try decoder.decode(ManifestDocument.self, from: Data()) }
            // The decoder only reads, and is done with the bytes when it returns: they need not be copied.
            let data = Data(
                bytesNoCopy: UnsafeMutableRawPointer(mutating: start),
                count: bytes.count,
                deallocator: .none
            )
            return try decoder.decode(ManifestDocument.self, from: data)
        }
    }

    private mutating func add(_ document: ManifestDocument) {
        objects += document.objects
        ignored.formUnion(document.ignored)
    }

    private static func located(_ fault: FieldError, _ document: Int, in bytes: [UInt8]) -> ManifestError {
        ManifestError(
            line: YAMLPathLocator.line(of: fault.components, inDocument: document, of: bytes),
            reason: fault.description
        )
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r")
            || byte == UInt8(ascii: "\t")
    }

    private static func checkEncoding(_ bytes: [UInt8]) throws(ManifestError) {
        do {
            _ = try UTF8Span(validating: bytes.span)
        } catch {
            let line = bytes[..<error.byteOffsets.lowerBound].count { $0 == UInt8(ascii: "\n") } + 1
            throw ManifestError(line: line, reason: "not UTF-8 text")
        }
    }
}

extension FieldError {
    fileprivate init(_ error: any Error) {
        if let error = error as? DecodingError {
            self.init(error)
        } else {
            self.init(components: [], reason: "\(error)")
        }
    }
}
