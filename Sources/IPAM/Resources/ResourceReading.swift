import FoundationEssentials
import JSON
import KubernetesAPI
import NetworkTypes

// Resources are read for every container. `JSONDecoder` is not used for them: it looks up at run time what types conform
// to, which takes a short-lived process longer than everything else that it computes.

extension ResourceMetadata {
    init(from reader: inout JSONReader) throws(JSONReader.Failure) {
        var name: String?
        var metadata = ResourceMetadata(name: "")
        try reader.members { (member, reader) throws(JSONReader.Failure) in
            switch member {
            case "name": name = try reader.string()
            case "namespace": metadata.namespace = try reader.optionalString()
            case "uid": metadata.uid = try reader.optionalString()
            case "resourceVersion": metadata.resourceVersion = try reader.optionalString()
            case "generation":
                metadata.generation = try reader.optional { (r) throws(JSONReader.Failure) in try r.integer() }
            case "creationTimestamp":
                metadata.creationTimestamp = try reader.optional { (r) throws(JSONReader.Failure) in try r.timestamp() }
            case "deletionTimestamp":
                metadata.deletionTimestamp = try reader.optional { (r) throws(JSONReader.Failure) in try r.timestamp() }
            case "labels":
                metadata.labels = try reader.optional { (r) throws(JSONReader.Failure) in try r.stringMap() }
            case "annotations":
                metadata.annotations = try reader.optional { (r) throws(JSONReader.Failure) in try r.stringMap() }
            case "finalizers":
                metadata.finalizers = try reader.optional { (r) throws(JSONReader.Failure) in try r.strings() }
            default: try reader.skip()
            }
        }
        metadata.name = try reader.required(name, "name")
        self = metadata
    }

    /// The metadata of a resource whose other members `member` reads, or skips.
    static func read(
        _ json: Data,
        _ member: (String, inout JSONReader) throws(JSONReader.Failure) -> Void
    ) throws(MalformedRecord) -> ResourceMetadata {
        try JSONReader.record(json) { (reader) throws(JSONReader.Failure) in
            var metadata: ResourceMetadata?
            try reader.members { (name, reader) throws(JSONReader.Failure) in
                if name == "metadata" {
                    metadata = try ResourceMetadata(from: &reader)
                } else {
                    try member(name, &reader)
                }
            }
            return try reader.required(metadata, "metadata")
        }
    }
}

extension JSONReader {
    /// Reads all of a record.
    static func record<Value>(
        _ json: Data,
        _ value: (inout JSONReader) throws(Failure) -> Value
    ) throws(MalformedRecord) -> Value {
        do throws(Failure) {
            return try read(json.span, value)
        } catch {
            throw MalformedRecord(error)
        }
    }

    /// As ``object(_:)``, with the member's name before what is wrong with its value.
    mutating func members(_ member: (String, inout JSONReader) throws(Failure) -> Void) throws(Failure) {
        try object { (name, reader) throws(Failure) in
            do throws(Failure) {
                try member(name, &reader)
            } catch {
                throw reader.failure("\(name): \(error.reason)")
            }
        }
    }

    func required<Value>(_ value: Value?, _ name: String) throws(Failure) -> Value {
        guard let value else { throw failure("\(name) is missing") }
        return value
    }

    mutating func optionalString() throws(Failure) -> String? { null() ? nil : try string() }

    mutating func strings() throws(Failure) -> [String] {
        var strings: [String] = []
        try array { (reader) throws(Failure) in strings.append(try reader.string()) }
        return strings
    }

    /// A word of a vocabulary.
    mutating func word<Word: RawRepresentable & CaseIterable>() throws(Failure) -> Word where Word.RawValue == String {
        try word(named: try string())
    }

    /// As ``word()``; `standard` for `null` and, as Go writes what was not set, for an empty one.
    mutating func word<Word: RawRepresentable & CaseIterable>(
        _ standard: Word
    ) throws(Failure) -> Word where Word.RawValue == String {
        guard let text = try optionalString(), !text.isEmpty else { return standard }
        return try word(named: text)
    }

    private func word<Word: RawRepresentable & CaseIterable>(
        named text: String
    ) throws(Failure) -> Word where Word.RawValue == String {
        guard let word = Word(rawValue: text) else {
            let known = Word.allCases.map(\.rawValue).joined(separator: ", ")
            throw failure("\"\(text)\" is none of \(known)")
        }
        return word
    }

    /// A boolean; `standard` for `null`.
    mutating func boolean(_ standard: Bool) throws(Failure) -> Bool { null() ? standard : try boolean() }
}
