import FoundationEssentials
import JSON
import YAML

/// One or more kubeconfig files, merged: of each cluster, user and context, and of `current-context`, the first file that
/// has it counts (clientcmd).
struct Kubeconfig {
    private(set) var clusters: [String: KubeconfigEntry] = [:]
    private(set) var users: [String: KubeconfigEntry] = [:]
    private(set) var contexts: [String: KubeconfigEntry] = [:]
    private(set) var currentContext: String?
    private(set) var files: [String] = []

    private static let sizeLimit = 8 << 20

    /// Adds a file.
    ///
    /// - Returns: `false` when there is none.
    mutating func add(file path: String) throws(ConfigurationError) -> Bool {
        guard FileManager.default.fileExists(atPath: path) else { return false }
        var file = WatchedFile(path)
        let bytes: [UInt8]
        do throws(WatchedFile.Unreadable) {
            bytes = try file.read(now: .now)
        } catch {
            throw ConfigurationError("the kubeconfig \(path) cannot be read: \(error.reason)")
        }
        try add(bytes, file: path)
        return true
    }

    mutating func add(_ bytes: [UInt8], file path: String) throws(ConfigurationError) {
        let root = try Self.document(bytes, path)
        files.append(path)
        guard let root else { return }
        let top = KubeconfigEntry(place: "the kubeconfig \(path)", file: path, fields: root)
        if let kind = try top.text("kind"), kind != "Config" {
            throw ConfigurationError("\(path) is no kubeconfig: its kind is \"\(kind)\", not Config")
        }
        try merge(top, "clusters", "cluster", into: &clusters)
        try merge(top, "users", "user", into: &users)
        try merge(top, "contexts", "context", into: &contexts)
        if currentContext == nil { currentContext = try top.text("current-context") }
    }

    private func merge(
        _ top: KubeconfigEntry,
        _ list: String,
        _ kind: String,
        into entries: inout [String: KubeconfigEntry]
    ) throws(ConfigurationError) {
        for element in try top.entries(list) {
            guard let name = try element.text("name") else {
                throw ConfigurationError("\(top.place) has an entry without a name under \(list)")
            }
            guard entries[name] == nil else { continue }
            let fields = try element.entry(kind, place: "\(kind) \"\(name)\" of \(top.file)")
            entries[name] = fields
        }
    }

    /// The one document of a file; `nil` when it is empty.
    private static func document(_ bytes: [UInt8], _ path: String) throws(ConfigurationError) -> JSONObject? {
        var documents: [[UInt8]] = []
        do {
            try bytes.withUnsafeBufferPointer { bytes in
                try YAMLConverter.forEachDocument(of: bytes) { text, _ in documents.append(text) }
            }
        } catch {
            throw ConfigurationError("the kubeconfig \(path) is no YAML: \(error)")
        }
        guard documents.count <= 1 else {
            throw ConfigurationError("the kubeconfig \(path) holds \(documents.count) documents; it may hold one")
        }
        guard let text = documents.first, let value = try? JSONValue(parsing: text.span), value != .null else {
            return nil
        }
        guard case .object(let object) = value else {
            throw ConfigurationError("the kubeconfig \(path) holds \(value.noun) instead of a mapping")
        }
        return object
    }
}

/// A part of a kubeconfig, and which one, for messages. Messages never repeat a value: it could be secret.
struct KubeconfigEntry {
    let place: String
    let file: String
    let fields: JSONObject

    /// A string; `nil` when it is absent or empty.
    func text(_ key: String) throws(ConfigurationError) -> String? {
        switch fields[key] {
        case nil: return nil
        case .string(let text)?: return text.isEmpty ? nil : text
        case let value?:
            throw ConfigurationError("\(place): \(key) is \(value.noun), not a string; put it in quotes")
        }
    }

    func flag(_ key: String) throws(ConfigurationError) -> Bool {
        switch fields[key] {
        case nil: return false
        case .bool(let flag)?: return flag
        case let value?: throw ConfigurationError("\(place): \(key) is \(value.noun), not true or false")
        }
    }

    func texts(_ key: String) throws(ConfigurationError) -> [String] {
        guard let value = fields[key] else { return [] }
        guard case .array(let elements) = value else {
            throw ConfigurationError("\(place): \(key) is \(value.noun), not a list")
        }
        var texts: [String] = []
        for element in elements {
            guard case .string(let text) = element else {
                throw ConfigurationError("\(place): \(key) holds \(element.noun) that is no string; put it in quotes")
            }
            texts.append(text)
        }
        return texts
    }

    func entries(_ key: String) throws(ConfigurationError) -> [KubeconfigEntry] {
        guard let value = fields[key] else { return [] }
        guard case .array(let elements) = value else {
            throw ConfigurationError("\(place): \(key) is \(value.noun), not a list")
        }
        var entries: [KubeconfigEntry] = []
        for element in elements {
            guard case .object(let object) = element else {
                throw ConfigurationError("\(place): \(key) holds \(element.noun) instead of a mapping")
            }
            entries.append(KubeconfigEntry(place: "\(place), \(key)", file: file, fields: object))
        }
        return entries
    }

    /// A mapping; empty when it is absent.
    func entry(_ key: String, place: String) throws(ConfigurationError) -> KubeconfigEntry {
        switch fields[key] {
        case nil: return KubeconfigEntry(place: place, file: file, fields: JSONObject())
        case .object(let object)?: return KubeconfigEntry(place: place, file: file, fields: object)
        case let value?: throw ConfigurationError("\(place) is \(value.noun) instead of a mapping")
        }
    }

    /// A file, or the data that stands in its place; data goes first.
    func bytes(file key: String, data dataKey: String) throws(ConfigurationError) -> BytesSource? {
        if let text = try text(dataKey) {
            let packed = text.filter { !$0.isWhitespace }
            guard let data = Data(base64Encoded: packed) else {
                throw ConfigurationError("\(place): \(dataKey) is no base64; encode the file with `base64 -w0`")
            }
            return .data(Array(data))
        }
        return try text(key).map { .file(path($0)) }
    }

    /// A path is relative to the file that it stands in.
    func path(_ text: String) -> String {
        guard !text.hasPrefix("/") else { return text }
        let directory = file.lastIndex(of: "/").map { String(file[..<$0]) } ?? "."
        return "\(directory)/\(text)"
    }
}
