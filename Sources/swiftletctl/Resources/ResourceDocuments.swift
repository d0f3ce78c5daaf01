import Glibc
import IPAM
import JSON
import YAML

/// Resources as people write them, each with where it stands.
struct ResourceDocuments {
    struct Entry {
        let resource: ManagedResource
        /// `FILE:LINE`, and which item of a list.
        let place: String
    }

    private(set) var entries: [Entry] = []
    /// Where each resource stands, by kind and name.
    private var places: [String: String] = [:]

    /// The resources of all documents of all files; lists are opened, and directories.
    init(_ paths: [String]) throws {
        for path in paths {
            for file in try Self.files(path) { try read(file) }
        }
        guard !entries.isEmpty else {
            throw Failure(status: .error, message: "no resource in \(paths.joined(separator: ", "))")
        }
    }

    /// The file itself, or what a directory has of YAML and JSON, in the order of the names.
    private static func files(_ path: String) throws -> [String] {
        guard path != "-", let directory = opendir(path) else { return [path] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            let isDocument = [".yaml", ".yml", ".json"].contains { name.hasSuffix($0) }
            if isDocument, !name.hasPrefix(".") { names.append(name) }
        }
        guard !names.isEmpty else {
            throw Failure(status: .error, message: "the directory \(path) has no *.yaml, *.yml or *.json")
        }
        return names.sorted().map { path.hasSuffix("/") ? path + $0 : "\(path)/\($0)" }
    }

    private mutating func read(_ file: String) throws {
        let name = file == "-" ? "stdin" : file
        do {
            let bytes = try RecordInput(file).all()
            try bytes.withUnsafeBufferPointer { buffer in
                try YAMLConverter.forEachDocument(of: buffer) { json, line in
                    try append(try JSONValue(parsing: json.span), "\(name):\(line)")
                }
            }
        } catch let error as YAMLError {
            throw Failure(status: .error, message: "\(name): \(error)")
        } catch let error as JSONReader.Failure {
            throw Failure(status: .error, message: "\(name): \(error)")
        }
    }

    private mutating func append(_ value: JSONValue, _ place: String) throws {
        guard value != .null else { return }
        // calicoctl takes a bare list too.
        if case .array(let items) = value {
            for (number, item) in items.enumerated() { try append(item, "\(place): [\(number)]") }
            return
        }
        if case .object(let object) = value, case .string(let kind)? = object["kind"], kind.hasSuffix("List") {
            guard case .array(let items) = object["items"] ?? [] else {
                throw Failure(status: .error, message: "\(place): \(kind): items is no array")
            }
            for (number, item) in items.enumerated() {
                try append(Self.typed(item, list: object, kind), "\(place): items[\(number)]")
            }
            return
        }
        let resource: ManagedResource
        do throws(ManagedResource.Malformed) {
            resource = try ManagedResource(document: value)
        } catch {
            throw Failure(status: .error, message: "\(place): \(error)")
        }
        let identity = "\(resource.kind.rawValue) \(resource.name)"
        if let other = places[identity] {
            throw Failure(status: .error, message: "\(place): \(identity) stands at \(other) already")
        }
        places[identity] = place
        entries.append(Entry(resource: resource, place: place))
    }

    /// An item with the type that its list says it has, where it does not say so itself.
    private static func typed(_ item: JSONValue, list: JSONObject, _ listKind: String) -> JSONValue {
        guard case .object(var object) = item, listKind != "List" else { return item }
        object["apiVersion"] = object["apiVersion"] ?? list["apiVersion"]
        object["kind"] = object["kind"] ?? .string(String(listKind.dropLast(4)))
        return .object(object)
    }
}
